/**
 * The process that one heavy job runs in. A job that is killed, runs out of memory or hits a defect takes nothing
 * else down and releases its locks by dying; when the daemon dies, the job stops and cleans up after itself.
 */
import { PgmonetaError } from '../errors/index.js';
import type { JobContext } from './context.js';
import { type FromJob, type JobProgress, packError, type ToJob } from './messages.js';
import { jobOf } from './verbs.js';

/** Counters go to the daemon at most this often, in milliseconds. */
const PROGRESS_INTERVAL = 100;

const abort = new AbortController();
let started = false;

function send(message: FromJob): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || process.send === undefined) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

function progressReporter(): (progress: JobProgress) => void {
  let last = Number.NEGATIVE_INFINITY;
  let phase = '';
  return (progress) => {
    const now = performance.now();
    if (progress.phase === phase && progress.done !== progress.total && now - last < PROGRESS_INTERVAL) return;
    last = now;
    phase = progress.phase;
    void send({ type: 'progress', progress });
  };
}

async function run(message: Extract<ToJob, { type: 'start' }>): Promise<void> {
  process.title = `pgmoneta: ${message.verb} ${String(message.request.Server ?? '')}`.trim();
  const context: JobContext = {
    configuration: message.configuration,
    password: message.password,
    masterSecret: message.masterSecret === undefined ? undefined : Buffer.from(message.masterSecret),
    signal: abort.signal,
    progress: progressReporter(),
    standing: (response) => void send({ type: 'standing', response }),
    log: (level, text, fields = {}) => void send({ type: 'log', level, message: text, fields }),
  };
  let code = 0;
  try {
    const job = await jobOf(message.verb);
    await send({ type: 'done', response: await job(message.request, context) });
  } catch (error) {
    await send({ type: 'failed', error: packError(error) });
    code = 1;
  }
  if (process.connected) process.disconnect();
  process.exit(code);
}

process.on('message', (message: ToJob) => {
  if (message.type === 'cancel') abort.abort(new PgmonetaError('CANCELLED', message.reason));
  else if (!started) {
    started = true;
    void run(message);
  }
});

// The daemon is gone: what is unfinished is worth nothing to anybody, so it is cleaned up and the process ends.
process.on('disconnect', () => {
  if (!started) process.exit(1);
  abort.abort(new PgmonetaError('CANCELLED', 'the daemon ended'));
});

// Signals meant for the process group of a foreground daemon: the daemon decides what happens to its jobs.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => abort.abort(new PgmonetaError('CANCELLED', 'the job was told to stop (SIGTERM)')));
