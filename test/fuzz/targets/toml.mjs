import { decodeText } from '../../../dist/config/files/read.js';
import { readConfigurationText } from '../../../dist/config/load.js';
import { MAIN_OPTIONS } from '../../../dist/config/options/index.js';
import { setTomlValue } from '../../../dist/config/text/edit-toml.js';

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

export function run(input) {
  const text = decodeText(input, 'x.toml');
  setTomlValue(text, 'pgmoneta', 'host', 'value');
  readConfigurationText('x.toml', text, null, { environment: { HOME: '/h' } }).problems.throwIfAny();
}
