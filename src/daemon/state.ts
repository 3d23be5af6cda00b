import type { Configuration } from '../config/index.js';
import type { Credentials } from './credentials.js';
import type { Log } from './log.js';
import type { ServerRegistry } from './servers.js';
import type { Supervisor } from './supervisor.js';
import type { VerificationCounts } from './verifications.js';
import type { WalService } from './wal.js';

/** The running daemon, as its verbs see it. `configuration` and `credentials` change with a reload. */
export interface DaemonState {
  configuration: Configuration;
  credentials: Credentials;
  /** What 0.21 only warned about in a configuration is a warning here too. */
  readonly lenient: boolean;
  readonly log: Log;
  readonly supervisor: Supervisor;
  readonly servers: ServerRegistry;
  readonly wal: WalService;
  readonly verifications: VerificationCounts;
  /** Begins an orderly stop; the reply to the request is still sent. */
  requestShutdown(reason: string): void;
}
