import { native } from './errors.js';
import { loadAddon } from './load.js';

/** Counters of a running job: plain bytes and files. */
export interface JobProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

/** How a job is watched and stopped. */
export interface JobControl {
  /** Aborting it ends the job within one buffer of each thread. */
  readonly signal?: AbortSignal | undefined;
  /** Called ten times a second at most, and once more at the end. */
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
}

/** The addon's side of a job. */
export interface NativeJob {
  cancel(): void;
  progress(): JobProgress;
}

const INTERVAL_MS = 100;

/**
 * Runs a job of the addon with its signal and its progress.
 * @throws PgmonetaError CANCELLED when the signal was aborted, else what the job fails with
 */
export async function runJob<T>(control: JobControl, start: (job: NativeJob) => Promise<T>): Promise<T> {
  const { signal, onProgress } = control;
  const job = new (loadAddon<{ NativeJob: new () => NativeJob }>().NativeJob)();
  const cancel = (): void => job.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const report = (): void => onProgress?.(job.progress());
  // Asking for the counters needs no callback from a foreign thread, and an idle timer keeps no process alive.
  const timer = onProgress === undefined ? undefined : setInterval(report, INTERVAL_MS).unref();
  try {
    const result = await native(() => start(job));
    report();
    return result;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', cancel);
  }
}
