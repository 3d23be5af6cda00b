import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import {
  type Connection,
  connectServer,
  formatLsn,
  identifySystem,
  type Lsn,
  queryFacts,
  type ReplicationSlot,
  requireReady,
  type SegmentName,
  type ServerAddress,
  type ServerFacts,
  type SystemIdentity,
  segmentNumber,
  segmentStart,
  type TimelineId,
} from '../postgres/index.js';
import { makeDirectories } from '../repository/directories.js';
import type { ServerPaths } from '../repository/paths.js';
import { readArchive, type WalArchive } from './archive.js';
import { Backoff } from './backoff.js';
import { keepHistory } from './history.js';
import { claimIdentity } from './identity.js';
import type { WalLog } from './log.js';
import { initialState, type ReceiverState } from './receiver-state.js';
import { type SessionPositions, WalSession } from './session.js';
import { type SlotSettings, usableSlot } from './slot.js';
import { type StartPosition, startPosition } from './start-position.js';

/** The settings that a receiver needs. */
export type ReceiverServer = ServerAddress &
  SlotSettings & {
    /** Seconds. */
    readonly wal_receiver_timeout: number;
    /** Seconds. */
    readonly wal_receiver_status_interval: number;
  };

/** What a receiver is made of. */
export interface ReceiverOptions {
  /** Asked for anew at each attempt. */
  readonly server: () => ReceiverServer;
  readonly password: () => string | undefined;
  readonly paths: ServerPaths;
  readonly log: WalLog;
  /** Segments are whole, durable and named. */
  readonly onFinished: (names: readonly string[]) => void;
  /** Something has become durable. @param finished segments that were completed with it */
  readonly onDurable: (
    wal: { timeline: TimelineId; segmentSize: number; durable: Lsn },
    finished: readonly SegmentName[],
  ) => void;
  /** First and longest wait between attempts, in milliseconds. */
  readonly backoff?: { readonly first: number; readonly longest: number };
}

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
/** Bytes that may wait in memory for the disk: with 16 servers in one daemon still little. */
const BUDGET = 8 * 1024 * 1024;

/** What was found out before a stream begins. */
interface Prepared {
  readonly facts: ServerFacts;
  readonly identity: SystemIdentity;
  readonly pageSize: number;
  readonly slot: ReplicationSlot;
}

/** Receives the WAL of one server for as long as it is wanted: whatever happens, it tries again by itself. */
export class WalReceiver {
  readonly #options: ReceiverOptions;
  readonly #backoff: Backoff;
  #state: ReceiverState;
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #session: WalSession | undefined;
  #connection: Connection | undefined;
  /** Where the server no longer had WAL that should have followed. */
  #removedAt: Lsn | undefined;
  #receivedBefore = 0n;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    const { first = FIRST_WAIT, longest = LONGEST_WAIT } = options.backoff ?? {};
    this.#backoff = new Backoff(first, longest);
    this.#state = initialState(options.server().wal_slot);
  }

  /** What it is doing. */
  get state(): ReceiverState {
    this.#session?.refresh();
    return this.#state;
  }

  /** Begins to receive; does nothing when it does already. */
  start(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#backoff.reset();
    this.#running = this.#running.then(() => this.#run(stop.signal));
  }

  /** Stops; what was received is durable when it settles. */
  async stop(reason: string): Promise<void> {
    const stop = this.#stop;
    this.#stop = undefined;
    stop?.abort(new PgmonetaError('CANCELLED', reason));
    await this.#session?.stop(reason);
    this.#connection?.abort(new PgmonetaError('CANCELLED', reason));
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#set({ phase: 'starting', retryAt: undefined });
      try {
        await this.#receive(signal);
      } catch (error) {
        if (signal.aborted) break;
        await this.#waitAfter(asPgmonetaError(error), signal);
      }
    }
    this.#set({ phase: 'stopped', retryAt: undefined });
  }

  async #waitAfter(error: PgmonetaError, signal: AbortSignal): Promise<void> {
    const { name } = this.#options.server();
    if (error.code === 'POSTGRES_WAL_REMOVED') this.#removedAt = this.#state.written;
    const wait = this.#backoff.next();
    const again = this.#state.problem === error.message;
    this.#set({
      phase: 'waiting',
      problem: error.message,
      hint: error.hint,
      retryAt: new Date(Date.now() + wait),
      failures: this.#backoff.attempts,
    });
    const line = `WAL of ${name} is not received: ${error.message}${error.hint ? `; ${error.hint}` : ''}`;
    if (again) this.#options.log.info(`${line} (attempt ${this.#backoff.attempts})`);
    else this.#options.log.error(line);
    await sleep(wait, signal);
  }

  /** One connection: from the first question to its end. */
  async #receive(signal: AbortSignal): Promise<void> {
    const server = this.#options.server();
    await makeDirectories(this.#options.paths.wal);
    const connection = await connectServer(server, this.#options.password(), { replication: true, signal });
    this.#connection = connection;
    try {
      const prepared = await this.#prepare(server, connection, signal);
      const { wal } = this.#options.paths;
      await keepHistory(connection, wal, prepared.identity.timeline, this.#options.log);
      const archive = await readArchive(wal, prepared.facts.walSegmentSize);
      let position = this.#choose(server.name, archive, prepared);
      while (!signal.aborted) {
        const next = await this.#stream(connection, prepared, position, signal);
        if (next === null) {
          throw new PgmonetaError('POSTGRES_CONNECTION_LOST', `server ${server.name} ended the WAL stream`, {
            hint: 'it is shutting down or restarting; the receiver connects again by itself',
            retryable: true,
          });
        }
        await keepHistory(connection, wal, next.timeline, this.#options.log);
        const lsn = segmentStart(
          segmentNumber(next.start, prepared.facts.walSegmentSize),
          prepared.facts.walSegmentSize,
        );
        const reason = `timeline ${position.timeline} ended at ${formatLsn(next.start)}`;
        position = { timeline: next.timeline, lsn, reason };
      }
    } finally {
      this.#connection = undefined;
      await connection.close();
    }
  }

  async #prepare(server: ReceiverServer, replication: Connection, signal: AbortSignal): Promise<Prepared> {
    const sql = await connectServer(server, this.#options.password(), { signal });
    try {
      const facts = await queryFacts(sql);
      requireReady(facts, 'wal', server.name);
      const identity = await identifySystem(replication);
      await claimIdentity(this.#options.paths.walIdentity, server.name, {
        systemIdentifier: identity.systemIdentifier,
        segmentSize: facts.walSegmentSize,
      });
      const slot = await usableSlot(server, sql, replication, this.#options.log);
      const { rows } = await replication.query('SHOW wal_block_size');
      return { facts, identity, slot, pageSize: Number(rows[0]?.[0]) };
    } finally {
      await sql.close();
    }
  }

  #choose(server: string, archive: WalArchive, { identity, slot, facts }: Prepared): StartPosition {
    const chosen = startPosition({
      archive,
      timeline: identity.timeline,
      position: identity.position,
      slotPosition: slot.restartLsn,
    });
    const removed = this.#removedAt;
    if (removed === undefined || chosen.lsn > removed) return chosen;
    const oldest = slot.restartLsn !== null && slot.restartLsn > removed ? slot.restartLsn : identity.position;
    const lsn = segmentStart(segmentNumber(oldest, facts.walSegmentSize), facts.walSegmentSize);
    if (lsn > chosen.lsn) {
      this.#options.log.error(
        `GAP: server ${server} no longer has the WAL from ${formatLsn(chosen.lsn)} to ${formatLsn(lsn)}; nothing can be restored across it: take a full backup now`,
      );
    }
    return { timeline: identity.timeline, lsn, reason: 'the server has removed what should follow' };
  }

  async #stream(connection: Connection, prepared: Prepared, position: StartPosition, signal: AbortSignal) {
    const {
      name,
      wal_slot: slot,
      wal_receiver_timeout: timeout,
      wal_receiver_status_interval: statusInterval,
    } = this.#options.server();
    const segmentSize = prepared.facts.walSegmentSize;
    const { timeline, lsn } = position;
    this.#set({ timeline, written: lsn, durable: lsn, serverEnd: prepared.identity.position, segmentSize, slot });
    const session = new WalSession({
      connection,
      slot,
      timeline,
      start: lsn,
      directory: this.#options.paths.wal,
      segmentSize,
      pageSize: prepared.pageSize,
      timeout,
      statusInterval,
      budget: BUDGET,
      events: {
        started: () => this.#started(name, position),
        progress: (positions) => this.#progressed(positions),
        durable: (durable, finished) => {
          this.#options.onDurable({ timeline, segmentSize, durable }, finished);
          if (finished.length > 0) this.#options.onFinished(finished);
        },
      },
    });
    this.#session = session;
    if (signal.aborted) await session.stop('the receiver was told to stop');
    try {
      return await session.run();
    } finally {
      this.#session = undefined;
      this.#receivedBefore = this.#state.received;
    }
  }

  #started(name: string, { timeline, lsn, reason }: StartPosition): void {
    this.#backoff.reset();
    this.#removedAt = undefined;
    this.#set({ phase: 'streaming', problem: undefined, hint: undefined, failures: 0 });
    this.#options.log.info(`WAL of ${name} is received from ${formatLsn(lsn)} on timeline ${timeline}: ${reason}`);
  }

  #progressed({ written, durable, serverEnd, received }: SessionPositions): void {
    const now = new Date();
    this.#set({
      written,
      serverEnd,
      received: this.#receivedBefore + BigInt(received),
      ...(durable === this.#state.durable ? {} : { durable, durableAt: now }),
      ...(durable >= serverEnd ? { caughtUpAt: now } : {}),
    });
  }

  #set(change: Partial<ReceiverState>): void {
    this.#state = { ...this.#state, ...change };
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
