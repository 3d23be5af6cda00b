import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlOf } from '../../../src/restore/old-cluster.js';
import { journalName, publicationMoves, publish, settlePublication } from '../../../src/restore/publish.js';
import { finals, planTarget, removeLeftovers, type TargetPlan } from '../../../src/restore/target.js';

const SPACES = [
  { directory: 'tblspc_fast', oid: '16384', path: '/srv/fast' },
  { directory: 'tblspc_slow', oid: '16385', path: '/srv/slow' },
];

let root: string;
let plan: TargetPlan;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgmoneta-publish-'));
  plan = planTarget(root, 'primary', '20260101000000', SPACES, { tablespaceMap: {}, relativeLinks: false });
});
afterEach(() => rm(root, { recursive: true }));

async function directory(path: string, content: string) {
  await mkdir(path);
  await writeFile(join(path, 'content'), content);
}
const content = (path: string) => readFile(join(path, 'content'), 'utf8').catch(() => undefined);
const contents = () => Promise.all(finals(plan).map(content));
const build = () => Promise.all([plan, ...plan.tablespaces].map(({ building }) => directory(building, 'new')));
const names = () => finals(plan).map((path) => path.slice(root.length + 1));

describe('publishing', () => {
  it('replaces what is there as a whole and leaves nothing else', async () => {
    await directory(plan.final, 'old');
    await build();
    await publish(plan, [plan.final]);
    expect(await contents()).toEqual(['new', 'new', 'new']);
    expect((await readdir(root)).sort()).toEqual(names().sort());
  });

  it('puts everything back when a step fails', async () => {
    for (const path of finals(plan)) await directory(path, 'old');
    for (const { building } of plan.tablespaces) await directory(building, 'new');
    await expect(publish(plan, finals(plan))).rejects.toThrow('ENOENT');
    expect(await contents()).toEqual(['old', 'old', 'old']);
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toHaveLength(2);
  });
});

describe('a publication cut short', () => {
  /** Every subset of the targets may have existed before. */
  const befores = Array.from({ length: 8 }, (_, bits) => [0, 1, 2].filter((n) => bits & (1 << n)));

  it.each(befores)('is settled after each of its renames (%j %j %j existed)', async (...before) => {
    const existed = before.filter((n) => n !== undefined);
    const steps = existed.length + 3;
    for (let made = 0; made <= steps; made++) {
      const existing = existed.map((n) => finals(plan)[n] as string);
      for (const path of existing) await directory(path, 'old');
      await build();
      const moves = publicationMoves(plan, existing);
      expect(moves).toHaveLength(steps);
      await writeFile(journalName(plan.final), JSON.stringify({ moves }));
      for (const { from, to } of moves.slice(0, made)) await rename(from, to);

      expect(await settlePublication(plan.final)).toBe(made === steps ? 'completed' : 'taken back');
      expect(await settlePublication(plan.final)).toBe('none');
      await removeLeftovers(plan);
      const old = finals(plan).map((_, n) => (existed.includes(n) ? 'old' : undefined));
      expect(await contents(), `after ${made} renames`).toEqual(made === steps ? ['new', 'new', 'new'] : old);
      expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
      for (const path of finals(plan)) await rm(path, { recursive: true, force: true });
    }
  });

  it('that had no journal yet leaves no torn one', async () => {
    await writeFile(`${journalName(plan.final)}.tmp-4711-0`, '{ "mov');
    const other = `.${names()[0]}.other.tmp-1-1`;
    await writeFile(join(root, other), '');
    expect(await settlePublication(plan.final)).toBe('none');
    expect(await readdir(root)).toEqual([other]);
    expect(await settlePublication(join(root, 'not', 'there'))).toBe('none');
  });

  it('is not settled over something that was put there since', async () => {
    await directory(plan.final, 'old');
    await build();
    const moves = publicationMoves(plan, [plan.final]);
    await writeFile(journalName(plan.final), JSON.stringify({ moves }));
    for (const { from, to } of moves.slice(0, 2)) await rename(from, to);
    await directory(plan.final, 'by hand');
    await expect(settlePublication(plan.final)).rejects.toThrow('something else is there now');
    expect(await content(plan.final)).toBe('by hand');
    expect(await readdir(root)).toContain('.primary-20260101000000.replaced');
  });

  it.each(['', '{}', '{"moves":[]}', '{"moves":[{"from":"/etc","to":"/tmp/etc"}]}'])(
    'is refused when its journal is %j',
    async (text) => {
      await writeFile(journalName(plan.final), text);
      await expect(settlePublication(plan.final)).rejects.toThrow('cannot be read');
    },
  );
});

describe('the cluster that shares files with the new one', () => {
  /** Old directories with a control file, new ones beside them. */
  async function scene() {
    for (const path of finals(plan)) await directory(path, 'old');
    await mkdir(join(plan.final, 'global'));
    await writeFile(join(plan.final, 'global/pg_control'), 'stopped');
    await build();
    return { directory: plan.final, control: (await controlOf(plan.final)) as string };
  }
  const start = (place: string) => writeFile(join(place, 'global/pg_control'), 'in production');

  it('is replaced when nobody has started it, with a stale postmaster.pid too', async () => {
    const guard = await scene();
    await writeFile(join(plan.final, 'postmaster.pid'), '999999999\n');
    await publish(plan, finals(plan), guard);
    expect(await contents()).toEqual(['new', 'new', 'new']);
  });

  it.each(['pg_control', 'postmaster.pid'])('stays when a server was started before (%s)', async (sign) => {
    const guard = await scene();
    if (sign === 'pg_control') await start(plan.final);
    else await writeFile(join(plan.final, 'postmaster.pid'), `${process.pid}\n`);
    await expect(publish(plan, finals(plan), guard)).rejects.toThrow('a server was started');
    expect(await contents()).toEqual(['old', 'old', 'old']);
    expect(await readdir(root)).not.toContain(journalName(plan.final).slice(root.length + 1));
  });

  it('is put back when the server was started during the renames', async () => {
    const guard = await scene();
    const moves = publicationMoves(plan, finals(plan));
    const replaced = moves[0]?.to as string;
    // a server that was about to start sits in the directory wherever that is moved to
    const watching = (async () => {
      for (;;) {
        if (
          await start(replaced)
            .then(() => true)
            .catch(() => false)
        )
          return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await expect(publish(plan, finals(plan), guard)).rejects.toThrow('a server was started');
    await watching;
    expect(await contents()).toEqual(['old', 'old', 'old']);
    expect(await readFile(join(plan.final, 'global/pg_control'), 'utf8')).toBe('in production');
  });

  it.each([
    [false, 'completed', 'new'],
    [true, 'taken back', 'old'],
  ] as const)(
    'decides what becomes of a publication that was cut short (started: %s)',
    async (started, outcome, left) => {
      const guard = await scene();
      const moves = publicationMoves(plan, finals(plan));
      await writeFile(journalName(plan.final), JSON.stringify({ moves, guard }));
      for (const { from, to } of moves) await rename(from, to);
      if (started) await start(moves[0]?.to as string);
      expect(await settlePublication(plan.final)).toBe(outcome);
      await removeLeftovers(plan);
      expect(await contents()).toEqual([left, left, left]);
      expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
    },
  );

  it('is removed to its end when that had begun', async () => {
    const guard = await scene();
    const moves = publicationMoves(plan, finals(plan));
    await writeFile(journalName(plan.final), JSON.stringify({ moves, guard }));
    for (const { from, to } of moves) await rename(from, to);
    await rm(join(moves[0]?.to as string, 'global'), { recursive: true });
    expect(await settlePublication(plan.final)).toBe('completed');
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
