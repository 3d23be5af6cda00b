/** kill -9 in the middle of a command. */
import { alive, signal, until } from './processes.mjs';

/**
 * @typedef {object} Interruption
 * @property {'daemon' | 'job'} victim
 * @property {number} delay milliseconds from where on the victim is killed
 * @property {'start' | 'job'} [from] the delay counts from the start of the command, or from that of its job
 * @property {boolean} [orphans] jobs of a killed daemon are killed too; otherwise their own end is waited for
 */

/** Moments of kills, in turn of the daemon and of the job; PGMONETA_TEST_KILLS asks for another number. @param {number} usual */
export function killMoments(usual) {
  const count = Number(process.env.PGMONETA_TEST_KILLS ?? usual);
  return Array.from(
    { length: count },
    (_, n) => /** @type {const} */ ([n + 1, /** @type {'daemon' | 'job'} */ (n % 2 === 0 ? 'daemon' : 'job')]),
  );
}

/**
 * Runs a command and kills daemon or job in its middle; the daemon is up again when this returns.
 * @param {import('./pgmoneta.mjs').Pgmoneta} pgmoneta @param {Interruption} how @param {...string} args
 */
export async function interrupted(pgmoneta, how, ...args) {
  const running = pgmoneta.launch('pgmoneta-cli', ['-c', pgmoneta.configuration, '-F', 'json', ...args]);
  if (how.from === 'job') {
    await until('the job', () => pgmoneta.jobs().length > 0 || running.child.exitCode !== null, { interval: 2 });
  }
  await new Promise((resolve) => setTimeout(resolve, how.delay));
  const jobs = pgmoneta.jobs();
  if (how.victim === 'daemon') {
    await pgmoneta.kill();
    if (how.orphans) for (const pid of jobs) signal(pid, 'SIGKILL');
    await until('the end of the orphaned jobs', () => jobs.every((pid) => !alive(pid)));
    await pgmoneta.start();
  } else {
    for (const pid of jobs) signal(pid, 'SIGKILL');
    await until('the end of the jobs', () => jobs.every((pid) => !alive(pid)));
  }
  return running.result;
}

/** How long something takes, in milliseconds. @param {() => Promise<unknown>} work */
export async function durationOf(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
