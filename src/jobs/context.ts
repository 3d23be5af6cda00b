import type { Configuration } from '../config/of-server.js';
import type { JobLogLevel, JobProgress, JsonObject } from './messages.js';

/** Writes to the daemon's log. Fields are facts, never secrets. */
export type JobLog = (level: JobLogLevel, message: string, fields?: Record<string, string | number | boolean>) => void;

/** What a job is given. */
export interface JobContext {
  readonly configuration: Configuration;
  /** Password of the PostgreSQL user of the request's server. */
  readonly password: string | undefined;
  /** What file keys are derived from; undefined when there is no master key. */
  readonly masterSecret: Buffer | undefined;
  /** Aborted when the client or the daemon wants the job to end. */
  readonly signal: AbortSignal;
  readonly progress: (progress: JobProgress) => void;
  /** What is answered from now on even if the process dies: the work itself is done, what follows is secondary. */
  readonly standing?: (response: JsonObject) => void;
  readonly log: JobLog;
}

/** A verb from start to end: takes the `Request`, gives the `Response`, throws `PgmonetaError`. */
export type Job = (request: JsonObject, context: JobContext) => Promise<JsonObject>;
