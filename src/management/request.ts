import type { CommandName } from './commands.js';
import type { ProgressReport } from './documents.js';
import type { JsonObject } from './json/index.js';

/** Who asks. */
export interface ManagementPeer {
  /** `unix`: whoever may open the socket file. */
  readonly transport: 'unix';
  /** For the log. */
  readonly description: string;
}

/** A request as the daemon's handler sees it. */
export interface ManagementRequest {
  /** `Header.Command`. */
  readonly code: number;
  /** The command that the code means. */
  readonly name: CommandName;
  readonly header: JsonObject;
  readonly request: JsonObject;
  readonly peer: ManagementPeer;
  /** Aborted when the client asks on its connection to cancel. A client that just goes away does not abort. */
  readonly signal: AbortSignal;
  /** Tells the client how far the work is; there only when the client asked for it. May be called at any rate. */
  readonly progress?: (report: ProgressReport) => void;
}

/** What a handler gives back. */
export interface ManagementResult {
  /** `Response`; `ServerVersion` and `ProductVersion` are added. Absent: the reply has no `Response`. */
  readonly response?: JsonObject;
}

/** Carries out a request. What it throws becomes a failed `Outcome`. */
export type ManagementHandler = (request: ManagementRequest) => Promise<ManagementResult>;

/** Where the listener tells what happened. A pino logger is one. */
export interface ManagementLog {
  info(message: string): void;
  warn(message: string): void;
}
