import type { Duplex } from 'node:stream';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { knownCodes, PLAIN, type WireCodes } from './codes.js';
import { COMMANDS, commandOf } from './commands.js';
import { failureDocument, numberOf, type ProgressReport, progressDocument, successDocument } from './documents.js';
import { type Frame, FrameReader, MAX_REQUEST, writeFrame } from './frame.js';
import { isJsonObject, type JsonObject, readJson, writeJson } from './json/index.js';
import { packPayload, type SecretSource, unpackPayload } from './payload.js';
import { ProgressSender } from './progress-sender.js';
import type { ManagementHandler, ManagementLog, ManagementPeer, ManagementRequest } from './request.js';
import { PROTOCOL_EXTENDED } from './version.js';

/** Time limits of a connection, in milliseconds. */
export interface ServeDeadlines {
  /** From the connection to the complete frame header. */
  readonly header: number;
  /** From the header to the complete payload. */
  readonly body: number;
  /** Without any progress while the reply is written. */
  readonly reply: number;
}

/** The limits of the daemon. */
export const DEADLINES: ServeDeadlines = { header: 10_000, body: 30_000, reply: 60_000 };

/** What a connection needs to be served. */
export interface ServeOptions {
  readonly handler: ManagementHandler;
  readonly secret?: SecretSource | undefined;
  readonly log: ManagementLog;
  readonly deadlines?: ServeDeadlines | undefined;
}

/** More unsent bytes than this, and progress frames are left out: the peer does not read. */
const PROGRESS_BACKLOG = 64 * 1024;

/** Most bytes that may follow a request before it has been read. */
const EARLY_BYTES = 64 * 1024;

/**
 * Serves one connection: one request, any number of progress frames where the client asked for them, one reply, close.
 * Works on any byte stream. Whatever the peer does ends here: nothing is thrown, and a reply that cannot be
 * delivered does not touch the work that it tells of.
 */
export class ServedConnection {
  /** Resolves when the connection is done, well or not. Never rejects. */
  readonly done: Promise<void>;
  private readonly reader = new FrameReader(MAX_REQUEST);
  private readonly cancelled = new AbortController();
  private readonly deadlines: ServeDeadlines;
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> = Promise.resolve();
  private state: 'reading' | 'working' | 'closed' = 'reading';
  /** Undefined until the request is read: what comes before is kept, up to a bound. */
  private listensForCancel: boolean | undefined;
  private finish: () => void = () => undefined;

  constructor(
    private readonly stream: Duplex,
    private readonly peer: ManagementPeer,
    private readonly options: ServeOptions,
  ) {
    this.deadlines = options.deadlines ?? DEADLINES;
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (error: Error) =>
      this.options.log.info(`management: ${this.peer.description}: ${error.message}`),
    );
    stream.on('end', () => this.ended());
    stream.on('close', () => this.closed());
    this.arm(this.deadlines.header, 'the header of the request');
  }

  /** Whether a request has been read and its handler runs. */
  get working(): boolean {
    return this.state === 'working';
  }

  /** Ends the connection at once. A handler that runs goes on; its reply is lost. */
  destroy(): void {
    this.stream.destroy();
    this.closed();
  }

  private receive(chunk: Buffer): void {
    if (this.state === 'closed') return;
    // After the request only a cancel frame may come, and only from a client that knows of it.
    if (this.state === 'working' && this.listensForCancel === false) return;
    this.reader.push(chunk);
    this.pump();
  }

  /** Takes what is complete out of the bytes received so far. */
  private pump(): void {
    try {
      if (this.state === 'reading') {
        const hadHeader = this.reader.inBody;
        const frame = this.reader.next();
        if (frame !== undefined) this.begin(frame);
        else if (!hadHeader && this.reader.inBody) this.arm(this.deadlines.body, 'the body of the request');
      } else if (this.listensForCancel === true) {
        for (let frame = this.reader.next(); frame !== undefined; frame = this.reader.next())
          void this.readCancel(frame);
      } else if (this.reader.pending > EARLY_BYTES) {
        this.listensForCancel = false;
      }
    } catch (error) {
      if (this.state === 'reading') void this.refuse(asPgmonetaError(error, 'FRAME_INVALID'), PLAIN);
      else this.listensForCancel = false;
    }
  }

  private begin(frame: Frame): void {
    clearTimeout(this.timer);
    this.state = 'working';
    void this.work(frame).catch((error: unknown) => {
      this.options.log.warn(`management: ${this.peer.description}: ${asPgmonetaError(error).message}`);
      this.destroy();
    });
  }

  private async work(frame: Frame): Promise<void> {
    const codes = knownCodes(frame.codes) ? frame.codes : PLAIN;
    let document: JsonObject;
    try {
      document = readJson(await unpackPayload(frame, MAX_REQUEST, this.options.secret));
    } catch (error) {
      // Answered in clear: a peer whose master key differs could not read anything else.
      await this.refuse(asPgmonetaError(error, 'BAD_PAYLOAD'), PLAIN);
      return;
    }
    const reply = await this.answer(document, codes);
    await this.send(reply, codes);
    this.close();
  }

  private async answer(document: JsonObject, codes: WireCodes): Promise<JsonObject> {
    const started = performance.now();
    const header = isJsonObject(document.Header) ? document.Header : {};
    const request = isJsonObject(document.Request) ? document.Request : {};
    const code = numberOf(header.Command) ?? 0;
    const name = commandOf(code, request);
    const extended = header.Protocol === PROTOCOL_EXTENDED;
    const progress =
      extended && header.Progress === true
        ? new ProgressSender((report) => this.sendProgress(report, codes))
        : undefined;
    this.listensForCancel = extended && this.listensForCancel !== false;
    this.pump();
    try {
      if (name === undefined) throw unknownCommand(code);
      const base: ManagementRequest = { code, name, header, request, peer: this.peer, signal: this.cancelled.signal };
      const { response } = await this.options.handler(
        progress === undefined ? base : { ...base, progress: (report) => progress.report(report) },
      );
      return successDocument(document, response, performance.now() - started);
    } catch (error) {
      return failureDocument(document, name, asPgmonetaError(error));
    } finally {
      progress?.stop();
      this.listensForCancel = false;
    }
  }

  private async readCancel(frame: Frame): Promise<void> {
    try {
      const document = readJson(await unpackPayload(frame, MAX_REQUEST, this.options.secret));
      const header = document.Header;
      if (!isJsonObject(header) || header.Command !== COMMANDS.cancel.code) return;
      this.cancelled.abort(new PgmonetaError('CANCELLED', `cancelled on request of ${this.peer.description}`));
    } catch (error) {
      this.options.log.warn(`management: ${this.peer.description}: ${asPgmonetaError(error).message}`);
    }
  }

  private async refuse(error: PgmonetaError, codes: WireCodes): Promise<void> {
    clearTimeout(this.timer);
    this.state = 'working';
    this.options.log.warn(`management: ${this.peer.description}: ${error.message}`);
    const told = new PgmonetaError('BAD_PAYLOAD', error.message, { hint: error.hint, cause: error });
    await this.send(failureDocument({}, undefined, told), codes);
    this.close();
  }

  private sendProgress(report: ProgressReport, codes: WireCodes): void {
    if (this.stream.writableLength > PROGRESS_BACKLOG) return;
    void this.send(progressDocument(report), codes);
  }

  /** Frames leave in the order in which they were handed over, though packing them takes its time. */
  private send(document: JsonObject, codes: WireCodes): Promise<void> {
    this.sending = this.sending.then(async () => {
      try {
        const frame = await packPayload(writeJson(document), codes, this.options.secret);
        if (!this.stream.writable) return;
        this.stream.write(writeFrame(frame));
      } catch (error) {
        this.options.log.warn(
          `management: a reply to ${this.peer.description} could not be written: ${asPgmonetaError(error).message}`,
        );
      }
    });
    return this.sending;
  }

  private close(): void {
    if (this.state === 'closed') return;
    this.arm(this.deadlines.reply, 'the end of the reply');
    this.stream.end();
  }

  private ended(): void {
    if (this.state !== 'reading') return;
    if (this.reader.pending > 0)
      this.options.log.info(`management: ${this.peer.description} left in the middle of a request`);
    this.destroy();
  }

  private closed(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    clearTimeout(this.timer);
    this.finish();
  }

  private arm(milliseconds: number, what: string): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.options.log.info(`management: ${this.peer.description}: ${what} took more than ${milliseconds / 1000} s`);
      this.destroy();
    }, milliseconds).unref();
  }
}

function unknownCommand(code: number): PgmonetaError {
  return new PgmonetaError('UNKNOWN_COMMAND', `the daemon knows no command with the code ${code}`, {
    hint: 'use a pgmoneta-cli of the same version as the daemon',
  });
}
