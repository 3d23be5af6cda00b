import { beforeEach, describe, expect, it, vi } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import type { Connection } from '../../../src/postgres/index.js';
import type { WalIntake } from '../../../src/wal/intake.js';
import { WalSession } from '../../../src/wal/session.js';
import { lsn, MIB, tli } from './build.js';

const NEXT = { timeline: 2, start: lsn('0/5F4321') };
const FULL = new PgmonetaError('NO_SPACE', 'cannot write /wal/000000010000000000000005.partial: no space left');

/** What the thread that writes does at the end. */
let close: () => Promise<bigint> = async () => NEXT.start;

vi.mock('../../../src/postgres/index.js', async (original) => ({
  ...(await original<typeof import('../../../src/postgres/index.js')>()),
  // The server has sent all of timeline 1, and tells what comes next.
  streamWal: async (_connection: Connection, _from: unknown, intake: WalIntake) => {
    intake.started();
    return NEXT;
  },
}));
vi.mock('../../../src/native/wal-writer.js', () => ({
  WalWriter: class {
    push = () => true;
    close = () => close();
  },
}));
vi.mock('../../../src/native/wal-link.js', () => ({
  WalLink: class {
    positions = { written: NEXT.start, durable: NEXT.start, serverEnd: NEXT.start };
    reads = 0;
    close = () => close();
  },
}));

/** @param detachable whether a thread of its own may read the link, which it may not with TLS */
function session(detachable: boolean): { session: WalSession; told: bigint[] } {
  const told: bigint[] = [];
  const connection = {
    detachable,
    detach: ({ begin }: { begin: (descriptor: number, received: Buffer) => void }) => begin(7, Buffer.alloc(0)),
    reads: 0,
    paused: false,
    closed: true,
    abort: () => {},
  } as unknown as Connection;
  const made = new WalSession({
    connection,
    slot: 'slot',
    timeline: tli(1),
    start: lsn('0/500000'),
    directory: '/wal',
    segmentSize: MIB,
    pageSize: 8192,
    timeout: 0,
    statusInterval: 0,
    budget: MIB,
    events: { started: () => {}, progress: ({ durable }) => told.push(durable), durable: () => {} },
  });
  return { session: made, told };
}

beforeEach(() => {
  close = async () => NEXT.start;
});

describe.each([
  ['a thread that reads the link', true],
  ['the event loop', false],
])('the end of a timeline, received by %s', (_by, detachable) => {
  it('leads to the next one when all of it is durable', async () => {
    const { session: made, told } = session(detachable);
    expect(await made.run()).toEqual(NEXT);
    expect(told.at(-1)).toBe(NEXT.start);
  });

  it('does not when the last of it could not be kept: nothing of the next one may begin', async () => {
    close = async () => {
      throw FULL;
    };
    const { session: made, told } = session(detachable);
    await expect(made.run()).rejects.toBe(FULL);
    expect(told).toEqual([]);
  });
});
