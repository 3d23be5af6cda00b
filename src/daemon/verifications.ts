import type { JsonObject } from '../jobs/messages.js';

interface Counts {
  done: number;
  failed: number;
}

/** How many verifications there were since the start of the daemon, and how many found a fault; for each server. */
export class VerificationCounts {
  readonly #servers = new Map<string, Counts>();

  /** Adds verifications. */
  add(server: string, done: number, failed: number): void {
    const counts = this.of(server);
    this.#servers.set(server, { done: counts.done + done, failed: counts.failed + failed });
  }

  /** The counts of a server. */
  of(server: string): Readonly<Counts> {
    return this.#servers.get(server) ?? { done: 0, failed: 0 };
  }

  /** What `status details` shows of them. */
  describe(server: string): JsonObject {
    const { done, failed } = this.of(server);
    return { Verifications: done, VerificationsFailed: failed };
  }
}
