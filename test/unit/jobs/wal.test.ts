import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobContext } from '../../../src/jobs/context.js';
import { deleteJob } from '../../../src/jobs/delete.js';
import { listBackupVerb } from '../../../src/jobs/list-backup.js';
import type { JsonObject } from '../../../src/jobs/messages.js';
import { type ServerState, statusVerb } from '../../../src/jobs/status.js';
import { lock } from '../../../src/repository/locks.js';
import { cpuOfThread, fillWithSegments, LAYING_OUT } from '../long-archive.js';
import { lsn, name, range, tli } from '../wal/build.js';
import { FakeRepository, MIB } from './wal-repository.js';

const FIRST = '20260131120000';
const SECOND = '20260201120000';
const HEADER = { walSegmentSize: MIB, stopTime: '2026-01-31T12:00:05.250Z', takenFrom: 'primary' };

/** Two backups, in segments 2 and 6, and WAL from 1 to 8. @param header null: backups of 0.21 */
function repository(header: Record<string, unknown> | null = HEADER): FakeRepository {
  const made = new FakeRepository();
  const json = header === null ? {} : { header };
  made.backup(FIRST, { start: '0/200028', end: '0/200158', wal: name(1, 2), ...json });
  made.backup(SECOND, { start: '0/600028', end: '0/600158', wal: name(1, 6), ...json });
  made.wal([...range(1, 1, 7, '.zstd'), name(1, 8, '.partial'), 'backup_label']);
  return made;
}

async function backupsOf(made: FakeRepository, live?: string): Promise<JsonObject[]> {
  const liveOf = live === undefined ? undefined : () => ({ timeline: tli(1), durable: lsn(live) });
  return (await listBackupVerb({ Server: 'primary' }, made.configuration(), liveOf)).Backups as JsonObject[];
}

async function statusOf(made: FakeRepository): Promise<JsonObject> {
  const state = { active: {} } as ServerState;
  const document = await statusVerb(made.configuration(), () => state, true);
  return (document.Servers as JsonObject[])[0] as JsonObject;
}

describe('list-backup', () => {
  it('tells what each backup can be restored to, and how much WAL is kept', async () => {
    const made = repository();
    expect(await backupsOf(made)).toMatchObject([
      { RestorableFrom: '2026-01-31 12:00:05.250+00', RestorableTo: '0/800000', WAL: 6 * MIB, Delta: 0 },
      { RestorableTo: '0/800000', WAL: 2 * MIB, Delta: 4 * MIB },
    ]);
    expect((await backupsOf(made))[0]).not.toHaveProperty('RestorableBroken');
    expect(await backupsOf(made, '0/812340')).toMatchObject([{ RestorableTo: '0/812340' }, {}]);
  });

  it('shows a broken window', async () => {
    const made = repository();
    rmSync(join(made.paths.wal, name(1, 4, '.zstd')));
    const [first, second] = await backupsOf(made);
    expect(first).toMatchObject({
      RestorableTo: '0/400000',
      RestorableBroken: `WAL from 0/400000 to 0/500000 on timeline 1 is missing; the first segment that is needed is ${name(1, 4)}`,
    });
    expect(second).not.toHaveProperty('RestorableBroken');
  });

  it('knows backups of 0.21: their label and how long they took, and the segment size from the name of their WAL', async () => {
    const [first] = await backupsOf(repository(null));
    const stopped = new Date(2026, 0, 31, 12, 0, 1, 500).toISOString().replace('T', ' ').replace('Z', '+00');
    expect(first).toMatchObject({ RestorableFrom: stopped, RestorableTo: '0/800000' });
  });

  it('without received WAL has the figures of the backups themselves', async () => {
    const made = repository();
    rmSync(made.paths.wal, { recursive: true });
    expect(await backupsOf(made)).toMatchObject([
      { RestorableTo: '0/200158', WAL: 4 * MIB + 0x130, Delta: 0 },
      { RestorableTo: '0/600158', WAL: 0x130, Delta: 4 * MIB },
    ]);
  });

  it('says nothing of what can be restored for a backup that is not valid', async () => {
    const made = repository();
    made.backup(SECOND, { start: '0/600028', end: '0/600158', wal: name(1, 6), status: '0' });
    expect((await backupsOf(made))[1]).not.toHaveProperty('RestorableTo');
  });

  it('lists the backups though the WAL cannot be read, and says why', async () => {
    const made = repository();
    rmSync(made.paths.wal, { recursive: true });
    writeFileSync(made.paths.wal, '');
    const document = await listBackupVerb({ Server: 'primary' }, made.configuration());
    expect(document).toMatchObject({
      NumberOfBackups: 2,
      WalArchiveProblem: expect.stringContaining('cannot list the WAL in'),
    });
  });

  it('tells the timeline of the position beside it', async () => {
    const made = repository();
    expect(await backupsOf(made)).toMatchObject([{ RestorableTimeline: 1 }, { RestorableTimeline: 1 }]);
    made.history('00000002.history', '1\t0/780000\tno recovery target specified\n');
    made.wal([...range(2, 7, 9, '.zstd')]);
    const [first, second] = await backupsOf(made);
    expect(first).toMatchObject({ RestorableTimeline: 2, RestorableTo: '0/A00000' });
    expect(second).toMatchObject({ RestorableTimeline: 2 });
    expect(await statusOf(made)).toMatchObject({ RestorableTimeline: 2, RestorableTo: '0/A00000' });
    // The new timeline begins behind a hole: what can be reached is on the old one.
    rmSync(join(made.paths.wal, name(1, 6, '.zstd')));
    expect((await backupsOf(made))[0]).toMatchObject({ RestorableTimeline: 1, RestorableTo: '0/600000' });
  });

  it('names a history file that is damaged', async () => {
    const made = repository();
    made.history('00000002.history', 'garbage');
    const document = await listBackupVerb({ Server: 'primary' }, made.configuration());
    expect(document.WalArchiveProblem).toMatch(/00000002\.history:1: expected/);
  });
});

describe('status details', () => {
  it('tells what a server can be restored to, its gaps and the size of its WAL', async () => {
    const made = repository();
    expect(await statusOf(made)).toMatchObject({
      RestorableFrom: '2026-01-31 12:00:05.250+00',
      RestorableTo: '0/800000',
      WalGaps: [],
      WalSize: 7 + MIB,
      Backups: [{ RestorableTo: '0/800000' }, { RestorableTo: '0/800000' }],
    });
    rmSync(join(made.paths.wal, name(1, 4, '.zstd')));
    expect(await statusOf(made)).toMatchObject({
      RestorableTo: '0/800000',
      WalGaps: [{ Timeline: 1, From: '0/400000', To: '0/500000' }],
      Backups: [{ RestorableBroken: expect.stringContaining('is missing') }, {}],
    });
  });

  it('has no window without a backup', async () => {
    const made = new FakeRepository();
    const status = await statusOf(made);
    expect(status).toMatchObject({ WalGaps: [], WalSize: 0 });
    expect(status).not.toHaveProperty('RestorableTo');
    expect(status).not.toHaveProperty('WalArchiveProblem');
  });

  it('status alone does not look at the WAL', async () => {
    const document = await statusVerb(repository().configuration(), () => ({ active: {} }) as ServerState, false);
    expect((document.Servers as JsonObject[])[0]).not.toHaveProperty('WalSize');
  });
});

describe('an archive of 100 000 segments', () => {
  it(
    'does not keep the daemon from its receivers while somebody looks at it',
    async () => {
      const made = repository();
      for (let index = 0; index < 40; index++) {
        const label = String(20260301000000 + index);
        made.backup(label, { start: '0/600028', end: '0/600158', wal: name(1, 6), header: HEADER });
      }
      fillWithSegments(made.paths.wal, 100_000);
      await backupsOf(repository());
      await statusOf(repository());
      const [backups, listed] = await cpuOfThread(() => backupsOf(made));
      expect(backups).toHaveLength(42);
      const [status, described] = await cpuOfThread(() => statusOf(made));
      expect(status).toMatchObject({ RestorableTo: '18/6A100000', WalGaps: [], WalSize: MIB });
      expect(Math.max(listed, described)).toBeLessThan(60);
    },
    LAYING_OUT,
  );
});

interface Deleted {
  readonly log: { level: string; message: string }[];
  readonly warnings: string[];
}

async function remove(made: FakeRepository, label: string, shipping: string | null = null): Promise<Deleted> {
  const log: { level: string; message: string }[] = [];
  const context = {
    configuration: made.configuration(shipping),
    signal: new AbortController().signal,
    progress: () => {},
    log: (level: string, message: string) => log.push({ level, message }),
  } as unknown as JobContext;
  await deleteJob({ Server: 'primary', Backup: label }, context);
  return { log, warnings: log.filter(({ level }) => level === 'warn').map(({ message }) => message) };
}

describe('delete', () => {
  const left = (made: FakeRepository) => readdirSync(made.paths.wal).sort();

  it('removes the WAL that only the deleted backup needed, oldest first, and logs each file', async () => {
    const made = repository();
    const { log, warnings } = await remove(made, FIRST);
    expect(left(made)).toEqual([...range(1, 6, 7, '.zstd'), name(1, 8, '.partial'), 'backup_label']);
    const removed = log.filter(({ message }) => /removed .*\.zstd/.test(message)).map(({ message }) => message);
    expect(removed).toEqual(
      range(1, 1, 5, '.zstd').map((file) => `removed ${made.paths.wal}/${file}: before the start of backup ${SECOND}`),
    );
    expect(warnings).toEqual([]);
  });

  it('removes what lies before the oldest backup when a newer one goes, and nothing else', async () => {
    const made = repository();
    await remove(made, SECOND);
    expect(left(made)).toEqual([...range(1, 2, 7, '.zstd'), name(1, 8, '.partial'), 'backup_label']);
  });

  it('removes no WAL with the last backup', async () => {
    const made = repository();
    await remove(made, SECOND);
    await remove(made, FIRST);
    expect(left(made)).toEqual([...range(1, 2, 7, '.zstd'), name(1, 8, '.partial'), 'backup_label']);
  });

  it('trims the shipped copy too, with the history files of the archive', async () => {
    const made = repository();
    const directory = join(made.shipping, 'primary', 'wal');
    made.history('00000002.history', '1\t0/700000\n');
    made.wal([...range(1, 1, 6), ...range(2, 7, 8)], directory);
    for (const file of [name(1, 6), name(2, 8)]) writeFileSync(join(directory, file), Buffer.alloc(MIB));
    await remove(made, FIRST, made.shipping);
    expect(readdirSync(directory).sort()).toEqual([name(1, 6), ...range(2, 7, 8)]);
    expect(left(made)).toContain('00000002.history');
  });

  it('succeeds though the shipped copy is away', async () => {
    const { warnings } = await remove(repository(), FIRST, '/nonexistent/shipping');
    expect(warnings).toEqual([]);
  });

  it('removes nothing while a restore reads WAL; the delete itself succeeds and says so', async () => {
    const made = repository();
    const reader = await lock(made.paths.walLock, 'shared', 'restore of primary', 'RESTORE_ACTIVE');
    const before = left(made);
    const { warnings } = await remove(made, FIRST);
    reader.release();
    expect(left(made)).toEqual(before);
    expect(readdirSync(made.paths.backups)).toEqual([SECOND]);
    expect(warnings).toEqual([expect.stringMatching(/WAL of primary that is not needed stays: .*restore of primary/)]);
  });

  it('removes nothing when a backup that may be older cannot be read', async () => {
    const made = repository();
    made.backup('20260101000000', { start: '0/100028', end: '0/100158', wal: name(1, 1) });
    writeFileSync(join(made.paths.backups, '20260101000000', 'backup.info'), 'garbage');
    const before = left(made);
    const { warnings } = await remove(made, FIRST);
    expect(left(made)).toEqual(before);
    expect(warnings).toEqual([expect.stringContaining('backup 20260101000000 cannot be read')]);
  });

  it('holds WAL for a backup whose hash list is not there just now', async () => {
    const made = repository();
    made.backup('20260115000000', { start: '0/400028', end: '0/400158', wal: name(1, 4) });
    rmSync(join(made.paths.backups, '20260115000000', 'backup.sha512'));
    await remove(made, FIRST);
    expect(left(made)).toEqual([...range(1, 4, 7, '.zstd'), name(1, 8, '.partial'), 'backup_label']);
  });

  it('removes nothing when backups and files disagree about the size of segments', async () => {
    const made = repository({ ...HEADER, walSegmentSize: 16 * MIB });
    const before = left(made);
    const { warnings } = await remove(made, FIRST);
    expect(left(made)).toEqual(before);
    expect(warnings).toEqual([
      expect.stringMatching(/nothing was removed from .*different sizes: 16777216, 1048576 bytes/),
    ]);
  });

  it('removes nothing when nothing tells the size of segments', async () => {
    const made = new FakeRepository();
    for (const [label, start] of [
      [FIRST, '0/28'],
      [SECOND, '1/28'],
    ] as const)
      made.backup(label, { start, end: start, wal: `00000001${start === '0/28' ? '00000000' : '00000001'}00000000` });
    made.wal(['000000010000000000000000.zstd', '000000010000000100000000.zstd']);
    const { warnings } = await remove(made, FIRST);
    expect(left(made)).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('neither a backup nor a file tells the size')]);
  });
});
