import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { alive, signal, until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { Scene } from '../support/scene.mjs';
import { startExisting } from '../support/server.mjs';
import { copyCluster, differences, listTree, tablespacesOf } from '../support/trees.mjs';
import { addNoise } from '../support/workload.mjs';

const KILLS = Number(process.env.PGMONETA_TEST_KILLS ?? 8);
const random = seeded('kill -9 of a hot standby');

/** From the state of the new copy to the removal of the old one, in milliseconds; a part of it is spent looking. */
const SWITCH = 500;

type Tree = Record<string, string>;

let scene: Scene;
let standby: string;
let copy: string;
/** How long an undisturbed renewal takes up to its exchange, in milliseconds. */
let usual = 0;
/** What a restore of each backup makes. */
const fresh = new Map<string, Tree>();
/** At which steps the kills came. */
const moments: Record<string, number> = {};

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 500 },
    start: false,
    settings: { encryption: 'aes-256-gcm' },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  await addNoise(scene.server, 30);
  const { pgmoneta, server } = scene;
  standby = path.join(pgmoneta.base, 'standby');
  copy = path.join(standby, 'primary');
  const oid = String(await server.value(`SELECT oid FROM pg_tablespace WHERE spcname = 'fast'`));
  const [section] = pgmoneta.servers;
  if (section === undefined) throw new Error('there is no server section');
  section.settings = {
    hot_standby: standby,
    hot_standby_tablespaces: `${oid} -> ${path.join(pgmoneta.base, 'place')}`,
  };
  pgmoneta.configure();
  await pgmoneta.start();
});
afterAll(() => scene?.close());

const labelOfCopy = (): string => JSON.parse(readFileSync(path.join(standby, '.primary.json'), 'utf8')).Backup;

async function change() {
  await scene.server.sql(`
    UPDATE noise SET body = body || '\\x00' WHERE id % 20 = ${Math.floor(random() * 20)};
    INSERT INTO in_fast SELECT i, md5(i::text) FROM generate_series(1000000, 1000200) i ON CONFLICT DO NOTHING;
    UPDATE in_fast SET t = md5(t) WHERE id % 10 = ${Math.floor(random() * 10)};
  `);
}

/** Takes what a restore of a backup makes; the daemon has to run. */
async function freshTree(label: string): Promise<Tree> {
  const known = fresh.get(label);
  if (known !== undefined) return known;
  scene.pgmoneta.clearRestored();
  const tree = listTree(await scene.pgmoneta.restore(label));
  fresh.set(label, tree);
  return tree;
}

/** Beside what the copy has in the place of a tablespace lies what is built there, which PostgreSQL does not look at. */
function withoutBuilt(tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !/^pg_tblspc\/\d+\/\.primary\.new/.test(name)));
}

/** Backs up, and kills so many milliseconds after the renewal has made a file; what the copy is then, before anybody repairs it. */
async function killed(victim: 'job' | 'daemon' | 'both', kind: 'full' | 'incremental', file: string, delay: number) {
  const { pgmoneta } = scene;
  const args = [
    '-c',
    pgmoneta.configuration,
    '-F',
    'json',
    'backup',
    'primary',
    ...(kind === 'full' ? [] : ['newest']),
  ];
  const running = pgmoneta.launch('pgmoneta-cli', args);
  let ended = false;
  void running.result.then(() => {
    ended = true;
  });
  await until('the renewal', () => ended || existsSync(path.join(standby, file)), {
    interval: 1,
    timeout: 60_000,
  });
  await new Promise((resolve) => setTimeout(resolve, delay));
  const jobs = pgmoneta.jobs();
  if (victim !== 'daemon') for (const pid of jobs) signal(pid, 'SIGKILL');
  if (victim === 'job') await running.result;
  await pgmoneta.kill();
  await until('the end of the orphaned jobs', () => jobs.every((pid: number) => !alive(pid)));
  const tree = existsSync(copy) ? withoutBuilt(listTree(copy)) : undefined;
  const left = existsSync(standby)
    ? readdirSync(standby)
        .filter((name) => name.startsWith('.'))
        .sort()
    : [];
  const moment = left.join(' ');
  moments[moment] = (moments[moment] ?? 0) + 1;
  return { tree, result: await running.result };
}

/** The daemon is back: the copy reaches the newest backup, and nothing else is left. */
async function proveReached() {
  const { pgmoneta } = scene;
  const newest = pgmoneta.backupsOnDisk().at(-1);
  await until(
    'the copy of the newest backup',
    () =>
      existsSync(path.join(standby, '.primary.json')) && labelOfCopy() === newest && readdirSync(standby).length === 2,
    { timeout: 60_000 },
  );
  await until('the end of the job', () => pgmoneta.jobs().length === 0);
  const wanted = await freshTree(String(newest));
  expect(differences(wanted, listTree(copy))).toEqual([]);
  for (const place of Object.values(tablespacesOf(copy))) expect(readdirSync(place)).toHaveLength(1);
}

describe('kill -9 while a hot standby is renewed', () => {
  test('the first one: there is no copy, or a whole one; then there is one', async () => {
    const { tree } = await killed('both', 'full', '.primary.new', 100);
    await scene.pgmoneta.start();
    const [label] = scene.pgmoneta.backupsOnDisk();
    if (tree !== undefined) expect(differences(await freshTree(String(label)), tree)).toEqual([]);
    await proveReached();
    await change();
    const running = scene.pgmoneta.must('backup', 'primary');
    await until('the renewal', () => existsSync(path.join(standby, '.primary.new')), { interval: 1 });
    const begun = performance.now();
    await until('the exchange', () => existsSync(path.join(standby, '.primary.next.json')), { interval: 1 });
    usual = performance.now() - begun;
    expect((await running).HotStandby[0].Result).toBe('updated');
    await proveReached();
  });

  const victims = ['job', 'both', 'daemon', 'both', 'both', 'job'] as const;
  test.each(
    Array.from(
      { length: KILLS },
      (_, n) => [n + 1, victims[n % 6] ?? 'both', n % 3 === 0 ? 'full' : 'incremental'] as const,
    ),
  )('moment %i, the %s, %s: the copy is whole, and reaches the newest backup', async (n, victim, kind) => {
    const { pgmoneta } = scene;
    const before = labelOfCopy();
    await change();
    const { tree, result } = await (n % 2 === 0
      ? killed(victim, kind, '.primary.new', random() * usual)
      : killed(victim, kind, '.primary.next.json', random() * SWITCH));
    const newest = String(pgmoneta.backupsOnDisk().at(-1));
    if (victim === 'job') {
      // The backup had been published: that is what is answered, whatever became of the copy.
      expect(result.exit, result.stdout + result.stderr).toBe(0);
      expect(JSON.parse(result.stdout).Response).toMatchObject({ Backup: newest, Valid: 'yes' });
    }
    await pgmoneta.start();
    expect(tree).toBeDefined();
    const possible = [await freshTree(before), await freshTree(newest)];
    const found = possible.map((wanted) => differences(wanted, tree ?? {}));
    expect(
      found.some((list) => list.length === 0),
      JSON.stringify(found.map((list) => list.slice(0, 5))),
    ).toBe(true);
    await proveReached();
    for (const label of [...fresh.keys()]) if (label !== newest) fresh.delete(label);
  });

  test('and it starts, with all rows', async () => {
    const checksums = await checksumEveryTable(scene.server);
    expect((await scene.pgmoneta.must('backup', 'primary')).HotStandby[0].Result).toBe('updated');
    const server = await startExisting(17, copyCluster(copy, path.join(scene.pgmoneta.base, 'started')));
    expect(await checksumEveryTable(server)).toEqual(checksums);
    await server.remove();
    process.stdout.write(`what lay beside the copy at ${KILLS} kills: ${JSON.stringify(moments)}\n`);
  });
});
