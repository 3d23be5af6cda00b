import type { Duplex } from 'node:stream';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { WireCodes } from './codes.js';
import type { CommandName } from './commands.js';
import { type ProgressReport, readProgress, requestDocument } from './documents.js';
import { FrameReader, MAX_REPLY, MAX_REQUEST, writeFrame } from './frame.js';
import { isJsonObject, type JsonObject, readJson, writeJson } from './json/index.js';
import { packPayload, type SecretSource, unpackPayload } from './payload.js';

/** The final reply of a daemon. */
export interface ManagementReply {
  /** The whole document, untranslated. */
  readonly document: JsonObject;
  readonly outcome: JsonObject;
  /** Absent for commands that answer with nothing but their outcome. */
  readonly response: JsonObject | undefined;
  /** `Outcome.Status`. */
  readonly ok: boolean;
}

export interface ExchangeOptions {
  readonly codes: WireCodes;
  readonly secret?: SecretSource | undefined;
  readonly onProgress?: ((report: ProgressReport) => void) | undefined;
  /** Who is spoken to, for messages. */
  readonly peer: string;
}

/** One request and what comes back for it, over any byte stream. */
export class ClientExchange {
  /** The final reply. Rejects with CONNECTION when the daemon goes away without one. */
  readonly reply: Promise<ManagementReply>;
  private readonly reader = new FrameReader(MAX_REPLY);
  private resolve: (reply: ManagementReply) => void = () => undefined;
  private reject: (error: PgmonetaError) => void = () => undefined;
  private settled = false;
  private reading: Promise<void> = Promise.resolve();

  constructor(
    private readonly stream: Duplex,
    private readonly options: ExchangeOptions,
  ) {
    this.reply = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever only sends must not be brought down by a reply that nobody awaits.
    this.reply.catch(() => undefined);
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (error: Error) => this.fail(lost(options.peer, error)));
    stream.on('end', () => this.ended());
    stream.on('close', () => this.ended());
  }

  /** Sends the request. */
  async send(command: CommandName, request: JsonObject, output: number): Promise<void> {
    const { codes, onProgress } = this.options;
    const progress = onProgress !== undefined;
    await this.write(requestDocument({ command, ...codes, output, progress }, request));
  }

  /** Asks the daemon to cancel what it does for this request. The reply still comes, and tells what became of it. */
  async cancel(): Promise<void> {
    if (this.settled) return;
    await this.write(requestDocument({ command: 'cancel', ...this.options.codes, output: 0, progress: true }, {}));
  }

  /** Leaves the daemon to its work: the connection is closed, the work goes on, `reply` rejects with CANCELLED. */
  detach(): void {
    this.fail(
      new PgmonetaError('CANCELLED', `the command was left running at ${this.options.peer}`, {
        hint: 'see what became of it with: pgmoneta-cli status',
      }),
    );
  }

  private async write(document: JsonObject): Promise<void> {
    const frame = await packPayload(writeJson(document), this.options.codes, this.options.secret);
    if (frame.payload.length > MAX_REQUEST) {
      this.detach();
      throw new PgmonetaError(
        'USAGE',
        `the request has ${frame.payload.length} bytes, the daemon takes ${MAX_REQUEST}`,
      );
    }
    this.stream.write(writeFrame(frame));
  }

  private receive(chunk: Buffer): void {
    this.reader.push(chunk);
    try {
      for (let frame = this.reader.next(); frame !== undefined; frame = this.reader.next()) {
        const complete = frame;
        this.reading = this.reading.then(async () => {
          const text = await unpackPayload(complete, MAX_REPLY, this.options.secret);
          this.take(readJson(text));
        });
        this.reading.catch((error: unknown) => this.fail(asPgmonetaError(error, 'FRAME_INVALID')));
      }
    } catch (error) {
      this.fail(asPgmonetaError(error, 'FRAME_INVALID'));
    }
  }

  private take(document: JsonObject): void {
    if (this.settled) return;
    const progress = readProgress(document);
    if (progress !== undefined) {
      this.options.onProgress?.(progress);
      return;
    }
    const outcome = document.Outcome;
    if (!isJsonObject(outcome)) {
      this.fail(new PgmonetaError('BAD_PAYLOAD', `the reply of ${this.options.peer} has no Outcome`));
      return;
    }
    const response = document.Response;
    this.settled = true;
    this.stream.end();
    this.resolve({
      document,
      outcome,
      response: isJsonObject(response) ? response : undefined,
      ok: outcome.Status === true,
    });
  }

  private ended(): void {
    void this.reading.then(
      () => this.fail(lost(this.options.peer, undefined)),
      () => undefined,
    );
  }

  private fail(error: PgmonetaError): void {
    if (this.settled) return;
    this.settled = true;
    this.stream.destroy();
    this.reject(error);
  }
}

function lost(peer: string, cause: Error | undefined): PgmonetaError {
  const reason = cause === undefined ? '' : ` (${cause.message})`;
  return new PgmonetaError('CONNECTION', `the daemon at ${peer} closed the connection without an answer${reason}`, {
    cause,
    hint: 'look into the log of the daemon; the command may have been carried out',
    retryable: true,
  });
}
