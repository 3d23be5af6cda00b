import type { Connection, SegmentName, TimelineId, WalSink } from '../postgres/index.js';

/** How far the WAL of a session is: the byte after the last one. */
export interface IntakePositions {
  readonly written: bigint;
  /** The server was told of no more than this. */
  readonly durable: bigint;
  readonly serverEnd: bigint;
}

/** What an intake tells. */
export interface IntakeEvents {
  /** The server has begun to stream. */
  started(): void;
  /** Positions may have moved. */
  progress(positions: IntakePositions): void;
  /** Something has become durable. @param finished segments that were completed and named with it */
  durable(durable: bigint, finished: readonly SegmentName[]): void;
  /** WAL cannot be kept: the session is over. */
  failed(error: Error): void;
}

/** What an intake is made for: one timeline over one connection. */
export interface IntakeOptions {
  readonly connection: Connection;
  readonly timeline: TimelineId;
  /** The start of a segment. */
  readonly start: bigint;
  readonly directory: string;
  readonly segmentSize: number;
  readonly pageSize: number;
  /** Bytes that may wait in memory for the disk. */
  readonly budget: number;
  readonly events: IntakeEvents;
}

/** Takes WAL in: writes it, makes it durable, and tells the server what is durable, as soon as it is. */
export interface WalIntake extends WalSink {
  positions(): IntakePositions;
  /** Tells the server the positions. @param reply asks it to answer */
  sendStatus(reply: boolean): void;
  /** Speaks to the server when it has not heard of us for long; to be called regularly. */
  relieve(): void;
  /** Makes durable what was received and ends; gives the last durable position. @throws what the writing failed with */
  close(): Promise<bigint>;
}
