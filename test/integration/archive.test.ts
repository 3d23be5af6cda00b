import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { signal, until } from '../support/processes.mjs';
import { identity, makeDirectory, temporaryDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { startExisting } from '../support/server.mjs';
import { addNoise } from '../support/workload.mjs';
import { promoted, streaming } from './pitr-scene.js';

let scene: Scene;
let label: string;
let checksums: Record<string, string>;

/** A new directory that the daemon can write to. */
let directories = 0;
const newPlace = () => makeDirectory(path.join(scene.pgmoneta.base, `archives-${++directories}`));

beforeAll(async () => {
  scene = await Scene.open(18, {
    workload: { rows: 2000 },
    settings: { encryption: 'aes-256-gcm' },
    server: { settings: { summarize_wal: 'on' } },
  });
  await addNoise(scene.server, 20);
  await streaming(scene);
  label = await scene.pgmoneta.backup();
  checksums = await checksumEveryTable(scene.server);
});
afterAll(() => scene?.close());

const archive = (...args: string[]) => scene.pgmoneta.must('archive', 'primary', 'newest', ...args);

/** Decrypts, decompresses and unpacks an archive somewhere else; gives the data directory. */
async function unpacked(file: string, backup = label): Promise<string> {
  const { pgmoneta } = scene;
  let name = file;
  for (const verb of ['decrypt', 'decompress']) {
    if (/\.(aes|zstd|gz|lz4|bz2)$/.test(name)) name = (await pgmoneta.must(verb, name)).DestinationFile;
  }
  const target = temporaryDirectory('u');
  execFileSync('tar', ['-x', '-p', '-f', name, '-C', target]);
  const who = identity();
  if (who) execFileSync('chown', ['-R', `${who.uid}:${who.gid}`, target]);
  return path.join(target, `primary-${backup}`);
}

describe('an archive', () => {
  test('is one file, unpacks elsewhere with its tablespaces, and starts with what the backup holds', async () => {
    const place = newPlace();
    const response = await archive(place);
    const file = path.join(place, `archive-primary-${label}.tar.zstd.aes`);
    expect(response).toMatchObject({ Backup: label, FileName: file, Server: 'primary' });
    expect(readdirSync(place)).toEqual([path.basename(file)]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(createHash('sha512').update(readFileSync(file)).digest('hex')).toBe(response.SHA512);
    const data = await unpacked(file);
    const beside = readdirSync(path.dirname(data)).filter((name) => name.includes('-tblspc_'));
    expect(beside).toHaveLength(2);
    const restored = await startExisting(18, data);
    try {
      expect(await checksumEveryTable(restored)).toEqual(checksums);
    } finally {
      await restored.remove();
    }
  });

  test('goes to a position, with the WAL that leads there', async () => {
    await scene.server.sql('CREATE TABLE afterwards AS SELECT generate_series(1, 100) i');
    await scene.server.sql('SELECT pg_switch_wal()');
    await until('the row in the archive', async () => {
      const place = newPlace();
      await archive('current', place);
      const data = await unpacked(path.join(place, `archive-primary-${label}.tar.zstd.aes`));
      const restored = await startExisting(18, data);
      try {
        await promoted(restored);
        return (await restored.value("SELECT to_regclass('afterwards')")) === 'afterwards';
      } finally {
        await restored.remove();
      }
    });
    await scene.server.sql('DROP TABLE afterwards');
  });

  test('without codec and cipher it is a tar', async () => {
    await scene.reconfigure({ compression: 'none', encryption: 'none' });
    const { FileName } = await archive(newPlace());
    expect(path.basename(FileName)).toBe(`archive-primary-${label}.tar`);
    const names = execFileSync('tar', ['-t', '-f', FileName], { encoding: 'utf8', maxBuffer: 1 << 26 }).split('\n');
    expect(names).toContain(`primary-${label}/PG_VERSION`);
    await scene.reconfigure({ compression: 'zstd', encryption: 'aes-256-gcm' });
  });
});

describe('what stands in the way', () => {
  test('an archive of that name is not replaced unasked', async () => {
    const other = newPlace();
    const file = path.join(other, `archive-primary-${label}.tar.zstd.aes`);
    writeFileSync(file, 'precious');
    const { exit, document } = await scene.pgmoneta.json('archive', 'primary', 'newest', other);
    expect(exit).toBe(3);
    expect(document.Outcome.Error).toBe(903);
    expect(document.Outcome.Message).toContain(`${file} exists`);
    expect(readFileSync(file, 'utf8')).toBe('precious');
    expect(readdirSync(other)).toEqual([path.basename(file)]);
    await archive(other, '--force');
    expect(statSync(file).size).toBeGreaterThan(100_000);
  });

  test('an unknown backup and server have the numbers of an archive', async () => {
    const unknown = await scene.pgmoneta.json('archive', 'primary', '20010101000000', newPlace());
    expect(unknown.document.Outcome.Error).toBe(900);
    expect((await scene.pgmoneta.json('archive', 'nobody', 'newest', newPlace())).document.Outcome.Error).toBe(901);
  });

  test.each(['cancel', 'kill'] as const)(
    'a %s leaves nothing that has the name of an archive, and the next one works',
    async (how) => {
      const { pgmoneta } = scene;
      const target = newPlace();
      const running = pgmoneta.launch('pgmoneta-cli', [
        '-c',
        pgmoneta.configuration,
        '-F',
        'json',
        'archive',
        'primary',
        'newest',
        target,
      ]);
      await until('something being written', () => readdirSync(target).length > 0);
      if (how === 'cancel') expect((await pgmoneta.json('cancel', 'primary')).exit).toBe(0);
      else for (const pid of pgmoneta.jobs()) signal(pid, 'SIGKILL');
      const { exit } = await running.result;
      expect(exit).toBe(3);
      const left = readdirSync(target);
      expect(left.filter((name) => !name.startsWith('.'))).toEqual([]);
      if (how === 'cancel') expect(left).toEqual([]);
      const { FileName } = await archive(target);
      expect(readdirSync(target)).toEqual([path.basename(FileName)]);
      expect(existsSync(await unpacked(FileName))).toBe(true);
    },
  );
});

test('of an incremental backup it holds the whole cluster, combined', async () => {
  await scene.server.sql('UPDATE main_table SET number = number + 1 WHERE id % 10 = 0');
  const child = (await scene.pgmoneta.must('backup', 'primary', 'newest')).Backup;
  const expected = await checksumEveryTable(scene.server);
  const response = await archive(newPlace());
  expect(response).toMatchObject({ Backup: child, Incremental: true, IncrementalParent: label });
  const restored = await startExisting(18, await unpacked(response.FileName, child));
  try {
    expect(await checksumEveryTable(restored)).toEqual(expected);
  } finally {
    await restored.remove();
  }
});
