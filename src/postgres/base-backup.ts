import { serialize } from 'pg-protocol';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { AnnouncedTablespace, BaseBackupResult, BaseBackupSink, BaseBackupStart } from './backup-sink.js';
import { type BackupStream, PlainBackupStream, TypedBackupStream } from './backup-stream.js';
import { type BaseBackupRequest, baseBackupCommand } from './base-backup-command.js';
import type { Connection } from './connection.js';
import type { CopyTarget } from './frames.js';
import { watchSilence } from './inactivity.js';
import { parseLsn } from './lsn.js';
import { contextOf, describePeer } from './peer.js';
import { ResultCollector, type Value } from './result.js';
import { toTimeline } from './segment.js';
import { watchSignal } from './watch-signal.js';

/** A base backup to be taken. */
export interface BaseBackupOptions extends BaseBackupRequest {
  /**
   * Seconds without a byte after which a server that sends counts as dead. Default 300; 0 = wait for ever.
   * It does not run before the server has finished the checkpoint that a backup begins with.
   */
  readonly inactivityTimeout?: number | undefined;
  /** Ends the backup on the server too. */
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_INACTIVITY = 300;
const DOING = 'BASE_BACKUP';

/** The dialogue of one BASE_BACKUP: result sets and COPY in between, in the order that the version prescribes. */
class Dialogue implements CopyTarget {
  readonly collector = new ResultCollector();
  readonly #sink: BaseBackupSink;
  readonly #major: number;
  #stream: BackupStream | undefined;
  #announcement: BaseBackupStart | undefined;
  readonly #fail: (error: unknown) => void;
  /** What `start` of the sink still has to do; reading stops until it is done. */
  #starting: Promise<void> | undefined;
  #sinkFull = false;

  /** @param fail ends the backup with what went wrong in the sink while nothing arrived */
  constructor(sink: BaseBackupSink, major: number, fail: (error: unknown) => void) {
    this.#sink = sink;
    this.#major = major;
    this.#fail = fail;
  }

  /** Whether the start was announced: from here on data flows. */
  get started(): boolean {
    return this.#announcement !== undefined;
  }

  message(message: BackendMessage): void {
    if (this.collector.take(message)) return;
    if (message.name === 'copyOutResponse') {
      this.#stream ??= this.#begin();
      this.#stream.copyBegins();
    } else if (message.name === 'copyDone') {
      this.#stream?.copyEnds();
    }
  }

  data(piece: Buffer, first: boolean, left: number): boolean {
    if (this.#stream === undefined) throw incomplete('sent data before the start of the backup');
    if (!this.#stream.data(piece, first, left)) this.#sinkFull = true;
    return !this.#sinkFull && this.#starting === undefined;
  }

  async drained(): Promise<void> {
    await this.#starting;
    if (!this.#sinkFull) return;
    this.#sinkFull = false;
    await this.#sink.drained();
  }

  #begin(): BackupStream {
    const [position, tablespaces] = this.collector.results;
    const [lsn, timeline] = position?.rows[0] ?? [];
    const announcement = {
      startLsn: parseLsn(lsn ?? ''),
      startTimeline: toTimeline(timeline ?? ''),
      tablespaces: (tablespaces?.rows ?? []).map(announced),
    };
    this.#announcement = announcement;
    this.#starting = this.#sink.start(announcement)?.then(() => {
      this.#starting = undefined;
    });
    this.#starting?.catch(this.#fail);
    if (this.#major >= 15) return new TypedBackupStream(this.#sink);
    return new PlainBackupStream(this.#sink, announcement.tablespaces.map(archiveOf));
  }

  /** Settles when the sink has nothing left to do for the start: a tiny backup may be over before. */
  async begun(): Promise<void> {
    await this.#starting;
  }

  /** What it came to, once the server is done. */
  result(notes: readonly string[]): BaseBackupResult {
    const end = this.collector.results[2]?.rows[0];
    if (this.#announcement === undefined || this.#stream === undefined || end === undefined) {
      throw incomplete('ended the backup without telling where it ends');
    }
    if (this.#stream.manifestBytes === 0) throw incomplete('sent no manifest');
    const { startLsn, startTimeline } = this.#announcement;
    const { archiveBytes, manifestBytes } = this.#stream;
    const endLsn = parseLsn(end[0] ?? '');
    return {
      startLsn,
      startTimeline,
      endLsn,
      endTimeline: toTimeline(end[1] ?? ''),
      archiveBytes,
      manifestBytes,
      notes,
    };
  }
}

function announced([oid, location, size]: readonly Value[]): AnnouncedTablespace {
  return {
    oid: oid == null ? null : Number(oid),
    location: location ?? null,
    sizeKb: size == null ? null : Number(size),
  };
}

/** Names of archives as 15 and newer give them. */
function archiveOf({ oid, location }: AnnouncedTablespace): { name: string; path: string | null } {
  return { name: oid === null ? 'base.tar' : `${oid}.tar`, path: location };
}

function incomplete(what: string): PgmonetaError {
  return new PgmonetaError('POSTGRES_PROTOCOL', `the server ${what}`, {
    hint: 'check that host and port name PostgreSQL itself and that its version is one that pgmoneta knows (13 to 18)',
  });
}

function refuse(connection: Connection, options: BaseBackupOptions): void {
  const { peer, version } = connection;
  if (!peer.replication) throw new PgmonetaError('INTERNAL', 'BASE_BACKUP needs a replication connection');
  const needs = options.incremental ? 17 : options.serverCompression === undefined ? 0 : 15;
  if (version.major >= needs) return;
  const what = options.incremental ? 'incremental backups of its own' : 'compression by the server';
  throw new PgmonetaError(
    'POSTGRES_UNSUPPORTED',
    `${describePeer(peer)} is PostgreSQL ${version.text}; ${what} needs ${needs}`,
    {
      hint: options.incremental ? 'take a full backup' : 'use compression = zstd (or another client-side one)',
      context: contextOf(peer),
    },
  );
}

/**
 * Takes a base backup, WAL included, into a sink. The payload goes from the read buffer of the socket to the sink
 * without a copy.
 * @param connection a replication connection; usable for further commands when this succeeds or the server refuses
 * @throws PgmonetaError for what the server reports, a broken or silent connection, cancellation (CANCELLED), and
 * whatever the sink throws
 */
export async function runBaseBackup(
  connection: Connection,
  options: BaseBackupOptions,
  sink: BaseBackupSink,
): Promise<BaseBackupResult> {
  refuse(connection, options);
  const command = baseBackupCommand(connection.version.major, options);
  const dialogue = new Dialogue(sink, connection.version.major, (error) => connection.abort(asPgmonetaError(error)));
  connection.notices.length = 0;
  const release = watchSignal(connection, options.signal, 'the backup');
  const rest = watchSilence(connection, DOING, options.inactivityTimeout ?? DEFAULT_INACTIVITY, () => dialogue.started);
  try {
    await connection.exchange({
      doing: DOING,
      request: serialize.query(command.sql),
      message: (message) => dialogue.message(message),
      copy: dialogue,
    });
    await dialogue.begun();
  } finally {
    rest();
    release();
  }
  return dialogue.result([...command.notes, ...warningsOf(connection)]);
}

/** What the server warned of; mere notices (no archiving is set up, ...) are of no use here. */
function warningsOf({ notices }: Connection): string[] {
  return notices
    .filter(({ severity }) => !/^(NOTICE|INFO|LOG|DEBUG)/.test(severity))
    .map(({ severity, message, detail }) => `${severity}: ${message}${detail === undefined ? '' : ` (${detail})`}`);
}
