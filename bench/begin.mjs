/** What every benchmark begins with. */
import os from 'node:os';
import path from 'node:path';
import { Failure, must, ROOT } from '../scripts/lib/run.mjs';
import { parseOptions, say } from './options.mjs';

/**
 * Reads the options, sets up what is to be measured, finds the peers and prints what machine this is.
 * @template {Record<string, import('./options.mjs').Option>} T
 * @param {T} known
 * @param {{usage: string, peers: string}} texts printed for options that are wrong, and the programs compared with
 * @returns {Promise<{options: NonNullable<ReturnType<typeof parseOptions<T>>>, bin: string | undefined} | undefined>}
 *   `bin`: where PostgreSQL's own programs are; undefined when the options are wrong
 */
export async function begin(known, { usage, peers }) {
  const options = parseOptions(process.argv.slice(2), known);
  if (!options) {
    process.stderr.write(usage);
    return undefined;
  }
  if (process.platform !== 'linux')
    throw new Failure('the benchmark measures through /proc, which this system has not');
  await must(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), '--servers', '--quiet'], { echo: true });
  const { NO_REFEREES, referee } = await import('../test/support/referees.mjs');
  const bin = referee(17)?.bin;
  say(`${os.cpus().length} cores (${os.cpus()[0]?.model.trim()}), Node ${process.versions.node}`);
  if (!bin) say(`no ${peers} to compare with: ${NO_REFEREES}`);
  return { options, bin };
}
