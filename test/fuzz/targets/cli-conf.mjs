import { product } from '../product.mjs';

const { readCliText } = await product('config/cli.js');
const { decodeText } = await product('config/files/read.js');
const { CLI_OPTIONS } = await product('config/options/tools.js');
const { readToolText } = await product('config/tools.js');

export const seeds = [
  'host = h\nport = 5000\nunix_socket_dir = $HOME/x\ncompression = gz\nencryption = aes256\noutput = json\nlog_path = "/a b"\n',
  '[pgmoneta]\nbase_dir = /x\nunix_socket_dir = /run\n[primary]\nhost = x\n',
  '[pgmoneta-walinfo]\nlog_level = debug5\nencryption = aes\n[primary]\nhost = h\nport = 1\nuser = u\n',
];
export const tokens = [
  ...Object.keys(CLI_OPTIONS),
  ...[
    '[',
    ']',
    '=',
    '"',
    "'",
    '#',
    ';',
    '\\',
    '$HOME',
    '${',
    '\n',
    '[pgmoneta]\n',
    'base_dir = /x\n',
    '__proto__',
    'aes128-gcm',
  ],
];

/** @param {Buffer} input */
export function run(input) {
  const text = decodeText(input, 'x.conf');
  const environment = { HOME: '/h' };
  readCliText('x.conf', text, { environment, lenient: true });
  readToolText('walfilter', 'x.conf', text, { environment });
}
