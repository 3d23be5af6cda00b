import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Configuration, effectiveServer } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import {
  type FromJob,
  type JobProgress,
  type JobVerb,
  type JsonObject,
  type ToJob,
  unpackError,
} from '../jobs/messages.js';
import { JobTracker, type TrackedJob } from './job-tracker.js';
import type { Log } from './log.js';
import { ProgressLog } from './progress-log.js';

const CHILD = fileURLToPath(new URL('../jobs/child.js', import.meta.url));

/** How long a cancelled job may take to clean up before it is killed, in milliseconds. */
const CANCEL_PATIENCE = 30_000;

/** What a job is started with. */
export interface JobOrder {
  readonly verb: JobVerb;
  readonly request: JsonObject;
  readonly server: string | undefined;
  readonly configuration: Configuration;
  readonly password: string | undefined;
  readonly masterSecret: Buffer | undefined;
  readonly onProgress?: ((progress: TrackedJob) => void) | undefined;
  /** Cancels the job when aborted. */
  readonly signal?: AbortSignal | undefined;
}

interface RunningJob {
  readonly verb: JobVerb;
  readonly server: string | undefined;
  readonly tracker: JobTracker;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  cancel(reason: string): void;
}

/** Starts jobs in processes of their own, listens to them, cancels them, and knows which are running. */
export class Supervisor {
  readonly #running = new Map<number, RunningJob>();
  readonly #log: Log;
  #next = 1;
  #closing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Whether a job of this verb runs for the server. */
  isActive(server: string, verb: JobVerb): boolean {
    return [...this.#running.values()].some((job) => job.server === server && job.verb === verb);
  }

  /** How far the jobs of a server are, the one that began first foremost. */
  progress(server: string): readonly TrackedJob[] {
    return [...this.#running.values()].filter((job) => job.server === server).map((job) => job.tracker.read());
  }

  /** Cancels the jobs of a server; returns how many were told. */
  cancelServer(server: string, reason: string): number {
    const jobs = [...this.#running.values()].filter((job) => job.server === server);
    for (const job of jobs) job.cancel(reason);
    return jobs.length;
  }

  /** Cancels everything and waits until every job has ended. */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    const jobs = [...this.#running.values()];
    for (const job of jobs) job.cancel(reason);
    await Promise.allSettled(jobs.map((job) => job.ended));
  }

  /** Runs a job to its end. */
  async run(order: JobOrder): Promise<JsonObject> {
    if (this.#closing) throw new PgmonetaError('CANCELLED', 'the daemon is shutting down', { retryable: true });
    const id = this.#next++;
    const child = fork(CHILD, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--max-old-space-size=192', '--max-semi-space-size=4'],
    });
    const tracker = new JobTracker(id, order.verb, undefined, hasStandbys(order));
    const ended = this.#follow(id, order, child, tracker);
    this.#running.set(id, this.#register(order, child, tracker, ended));
    try {
      return await ended;
    } finally {
      this.#running.delete(id);
    }
  }

  #register(order: JobOrder, child: ChildProcess, tracker: JobTracker, ended: Promise<unknown>): RunningJob {
    const cancel = (reason: string): void => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      this.#log.info(`cancelling ${order.verb}${order.server ? ` of ${order.server}` : ''}: ${reason}`);
      if (child.connected) child.send({ type: 'cancel', reason } satisfies ToJob);
      setTimeout(() => child.kill('SIGKILL'), CANCEL_PATIENCE).unref();
    };
    const onAbort = (): void => cancel('the client asked for it');
    if (order.signal?.aborted) onAbort();
    else order.signal?.addEventListener('abort', onAbort, { once: true });
    const { verb, server } = order;
    return { verb, server, tracker, child, ended, cancel };
  }

  #follow(id: number, order: JobOrder, child: ChildProcess, tracker: JobTracker): Promise<JsonObject> {
    const { verb, server, configuration } = order;
    const name = server === undefined ? verb : `${verb} of ${server}`;
    const logged = server !== undefined && effectiveServer(configuration, server).progress;
    const written = logged ? new ProgressLog(this.#log, name) : undefined;
    const report = (progress: JobProgress): void => {
      const tracked = tracker.update(progress);
      written?.report(tracked);
      order.onProgress?.(tracked);
    };
    return new Promise<JsonObject>((resolve, reject) => {
      let answer: Extract<FromJob, { type: 'done' | 'failed' }> | undefined;
      let standing: JsonObject | undefined;
      let complaint = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        complaint = (complaint + text).slice(-4096);
      });
      child.on('message', (message: FromJob) => {
        if (message.type === 'progress') report(message.progress);
        else if (message.type === 'log') this.#log[message.level](message.message, { job: id, ...message.fields });
        else if (message.type === 'standing') standing = message.response;
        else answer = message;
      });
      child.on('error', (error) =>
        reject(
          new PgmonetaError('BACKUP_NOFORK', `the process for ${name} cannot be started: ${error.message}`, {
            cause: error,
          }),
        ),
      );
      child.on('close', (exit, signal) => {
        if (answer?.type === 'done') resolve(answer.response);
        else if (answer?.type === 'failed') {
          if (answer.error.stack) this.#log.error(`defect in ${name}: ${answer.error.stack}`, { job: id });
          reject(unpackError(answer.error));
        } else if (standing === undefined) reject(this.#died(name, exit, signal, complaint));
        else {
          this.#log.error(
            `the process of ${name} ${howEnded(exit, signal)} before all was done; what it was started for is done`,
            { job: id },
          );
          resolve(standing);
        }
      });
      child.send(startMessage(order));
    });
  }

  #died(name: string, exit: number | null, signal: NodeJS.Signals | null, complaint: string): PgmonetaError {
    if (complaint !== '') this.#log.error(`last words of ${name}: ${complaint.trim()}`);
    const how = howEnded(exit, signal);
    return new PgmonetaError('INTERNAL', `the process of ${name} ${how} before it was done; nothing of it was kept`, {
      hint:
        signal === 'SIGKILL'
          ? 'somebody killed it, or the kernel did for want of memory: see the kernel log, then try again'
          : 'see the log of the daemon, then try again',
      retryable: true,
    });
  }
}

function howEnded(exit: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exited with status ${exit}` : `was killed by ${signal}`;
}

function hasStandbys({ server, configuration }: JobOrder): boolean {
  return server !== undefined && effectiveServer(configuration, server).hot_standby.length > 0;
}

function startMessage(order: JobOrder): ToJob {
  const { verb, request, configuration, password, masterSecret } = order;
  return { type: 'start', verb, request, configuration, password, masterSecret };
}
