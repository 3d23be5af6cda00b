import { product } from '../product.mjs';

const { decodeText } = await product('config/files/read.js');
const { readConfigurationText } = await product('config/load.js');
const { MAIN_OPTIONS } = await product('config/options/index.js');
const { setTomlValue } = await product('config/text/edit-toml.js');

export const seeds = [
  `# c
[pgmoneta]
host = "*" # all
base_dir = '$HOME/x'
unix_socket_dir = "/tmp"
retention = [7, 4, "-"]
storage_engine = ["local"]
tls = false
max_rate = "10MB"
["a.b"]
host = "localhost"
port = 5_432
user = """repl"""
wal_slot = 'repl'
hot_standby = [ "/a",
  "/b" ]
`,
  'a = {b = 1, c.d = [1, 2]}\n[[x]]\ny = 2020-01-01T00:00:00Z\nz = 1e5\n',
];
export const tokens = [
  ...Object.keys(MAIN_OPTIONS).slice(0, 30),
  ...[
    '[',
    ']',
    '[[',
    ']]',
    '{',
    '}',
    '=',
    '.',
    ',',
    '"',
    "'",
    '"""',
    "'''",
    '#',
    '\\u00fc',
    '\\',
    '\n',
    '\r\n',
    '\ufeff',
  ],
  ...['__proto__', 'constructor', 'nan', '-inf', '0x10', '1_0', 'true', '2020-01-01', '$HOME', '\0'],
];

/** @param {Buffer} input */
export function run(input) {
  const text = decodeText(input, 'x.toml');
  setTomlValue(text, 'pgmoneta', 'host', 'value');
  readConfigurationText('x.toml', text, null, { environment: { HOME: '/h' } }).problems.throwIfAny();
}
