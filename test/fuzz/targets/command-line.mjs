import { product } from '../product.mjs';

const { CLI } = await product('programs/pgmoneta-cli/program.js');
const { parseSettings } = await product('programs/pgmoneta-cli/settings-file.js');
const { tablespaceMap } = await product('programs/pgmoneta-cli/tablespace-map.js');
const { parseLine } = await product('programs/shared/parse.js');
const { nameArguments, selectCommand } = await product('programs/shared/select.js');

export const seeds = [
  '-c\nf\nrestore\nprimary\nnewest\ncurrent\n/r\n--tablespace-map=a=/b',
  'conf\nset\nretention\n-,4,-,-\n--\n-x',
  '[pgmoneta]\nunix_socket_dir = "/tmp/$HOME"\noutput = json\ncompression = gz',
];
export const tokens = [
  '--',
  '-',
  '=',
  '\n',
  '-vV',
  '--format',
  'json',
  '--__proto__',
  '__proto__',
  'constructor',
  'status\ndetails',
  '\\=',
  '$',
  '${',
  '[',
  '"',
];

const flags = { ...CLI.flags, ...CLI.commandFlags };

/** @param {() => unknown} work */
function attempt(work) {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'PgmonetaError') throw error;
    return undefined;
  }
}

/** @param {Buffer} input */
export async function run(input) {
  const text = input.toString('utf8');
  attempt(() => parseSettings('cli.conf', text));
  const line = parseLine(text.split('\n'), flags);
  attempt(() => tablespaceMap(line.flags.list('tablespace-map')));
  const selected = selectCommand(CLI, line.words);
  const { default: command } = await /** @type {any} */ (CLI.commands)[selected.words]();
  nameArguments(selected.words, command.args, selected.args);
}
