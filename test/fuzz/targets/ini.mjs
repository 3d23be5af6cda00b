import { decodeText } from '../../../dist/config/files/read.js';
import { readConfigurationText } from '../../../dist/config/load.js';
import { MAIN_OPTIONS, SERVER_OPTIONS } from '../../../dist/config/options/index.js';
import { decodeOrdinary, decodePath } from '../../../dist/config/text/decode.js';
import { setIniValue } from '../../../dist/config/text/edit-ini.js';
import { encodeOrdinary, encodePath } from '../../../dist/config/text/encode.js';
import { parseIni } from '../../../dist/config/text/ini.js';

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

function checkRoundTrip(raw) {
  const ordinary = decodeOrdinary(raw).text;
  if (decodeOrdinary(encodeOrdinary(ordinary)).text !== ordinary) throw new Error(`ordinary value ${ordinary}`);
  const path = decodePath(raw, environment).text;
  if (decodePath(encodePath(path), environment).text !== path) throw new Error(`path value ${path}`);
}
