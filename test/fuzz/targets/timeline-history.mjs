/** History files of timelines, as a server, a copy or a damaged disk has them: read, and the way along them laid. */
import assert from 'node:assert/strict';
import { product } from '../product.mjs';

const { arrangeArchive } = await product('wal/archive.js');
const { gaps, newestPath, reachable } = await product('wal/coverage.js');
const { planHorizon } = await product('wal/horizon.js');
const { ancestry, parseHistory, timelineAt } = await product('wal/timelines.js');

export const seeds = [
  '1\t0/4000000\tno recovery target specified\n',
  '1\t0/4000000\tno recovery target specified\n\n2\t0/200FBB0\tafter LSN 0/200FB70\n\n\n3\t0/3000000\tat restore point "x"\n',
  '# comment\n\n1\t0/3000000\tbefore 2026-01-31 12:00:00+00\n2\tA/B00000C8\n\0',
  '1 0/1\r\n2 FFFFFFFF/FFFFFFFF\r\n7 0/0',
];
export const tokens = ['\t', '\n', '\0', '#', '/', '0/0', '4294967295', '99999999999', 'FFFFFFFF/FFFFFFFF', '-1', '"'];

const TIMELINE = 9;

/** @param {Buffer} input */
export function run(input) {
  const text = input.toString('latin1');
  const { entries } = parseHistory(TIMELINE, text, '/wal/00000009.history');
  const histories = new Map([[TIMELINE, { timeline: TIMELINE, entries }]]);
  const path = ancestry(TIMELINE, histories);
  // The stretches follow one another from 0/0 on, each with a timeline of the file, the last one without an end.
  let end = 0n;
  for (const piece of path) {
    assert.equal(piece.begin, end);
    assert.equal(timelineAt(path, piece.begin), piece.timeline);
    if (piece.end !== undefined) assert(piece.end > piece.begin);
    end = piece.end;
  }
  assert.equal(end, undefined);
  const names = ['000000010000000000000003', '000000090000000000000004.zstd', '000000020000000A000000B0.partial'];
  const archive = arrangeArchive(
    '/wal',
    16 << 20,
    [...names, '00000009.history'],
    new Map([['00000009.history', text]]),
  );
  const { lsn } = reachable(archive, newestPath(archive), 0x3000028n);
  assert(lsn >= 0x3000028n);
  for (const gap of gaps(archive, 0n)) assert(gap.from < gap.to);
  const backups = [{ label: '20260101000000', timeline: 1, startLsn: 0x3000028n, startSegment: undefined }];
  for (const { file } of planHorizon({ archive, backups }).remove) assert(!file.endsWith('.partial'));
}
