import { product } from '../product.mjs';

const { decodeText } = await product('config/files/read.js');
const { readConfigurationText } = await product('config/load.js');
const { MAIN_OPTIONS, SERVER_OPTIONS } = await product('config/options/index.js');
const { decodeOrdinary, decodePath } = await product('config/text/decode.js');
const { setIniValue } = await product('config/text/edit-ini.js');
const { encodeOrdinary, encodePath } = await product('config/text/encode.js');
const { parseIni } = await product('config/text/ini.js');

export const seeds = [
  `[pgmoneta]
host = *
metrics = 5001 # port
base_dir = "$HOME/a b"/'x' ; tail
unix_socket_dir /tmp
log_line_prefix = "%Y # \\"z\\""
retention = 7, - , 6 , -
max_rate = 10MB/s
[primary]
host = localhost
port = 5432
user = repl
wal_slot = repl
hot_standby = /a b, /c
hot_standby_overrides = /d|/e
follow = second
[second]
host = /run
port = 1
user = repl
wal_slot = s
`,
  '[pgmoneta]\r\nhost = "x\r\n[\r\n= y\r\n',
];
export const tokens = [
  ...Object.keys(MAIN_OPTIONS),
  ...Object.keys(SERVER_OPTIONS),
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the configuration
  ...['[', ']', '=', ' = ', '"', "'", '#', ';', '\\', '$', '$HOME', '${HOME}', '\n', '\r', '\ufeff', '\u00fc', '\0'],
  ...[
    '[pgmoneta]\n',
    '[primary]\n',
    'all',
    'zstd',
    'aes',
    '5m',
    '1 GiB',
    'server-zstd',
    '__proto__',
    'constructor',
    ',',
  ],
];

const environment = { HOME: '/h' };

/** @param {Buffer} input */
export function run(input) {
  const text = decodeText(input, 'x.conf');
  for (const section of parseIni(text).sections) {
    const entry = section.entries.at(-1);
    if (section.name === null || entry === undefined) continue;
    const after = setIniValue(text, section.name, entry.key, 'value', false);
    if (after === null) throw new Error(`no place for ${entry.key} in a section that is there`);
    for (const { raw } of section.entries) checkRoundTrip(raw);
  }
  readConfigurationText('x.conf', text, null, { environment }).problems.throwIfAny();
}

/** @param {string} raw */
function checkRoundTrip(raw) {
  const ordinary = decodeOrdinary(raw).text;
  if (decodeOrdinary(encodeOrdinary(ordinary)).text !== ordinary) throw new Error(`ordinary value ${ordinary}`);
  const path = decodePath(raw, environment).text;
  if (decodePath(encodePath(path), environment).text !== path) throw new Error(`path value ${path}`);
}
