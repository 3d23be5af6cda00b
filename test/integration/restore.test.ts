import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { until } from '../support/processes.mjs';
import { makeDirectory } from '../support/runtime.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { configurationIn, startExisting } from '../support/server.mjs';

let scene: Scene;
let checksums: Record<string, string>;
let label: string;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 3000 } });
  checksums = await checksumEveryTable(scene.server);
  label = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());
afterEach(() => scene.pgmoneta.clearRestored());

describe('identifiers', () => {
  test.each(['newest', 'latest', 'oldest'])('%s', async (identifier) => {
    expect(path.basename(await scene.pgmoneta.restore(identifier))).toBe(`primary-${label}`);
  });

  test.each(['20010101000000', '../../etc', 'nonsense', ''])('%j is refused', async (identifier) => {
    const result = await scene.pgmoneta.json('restore', 'primary', identifier, scene.pgmoneta.restored);
    expect(result.exit).not.toBe(0);
    expect(result.stderr).not.toBe('');
  });

  test('an unknown server is refused with its number', async () => {
    const result = await scene.pgmoneta.json('restore', 'nosuch', 'newest', scene.pgmoneta.restored);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(603);
    expect(result.document.Outcome.Message).toContain('nosuch');
  });
});

describe('positions', () => {
  test.each(['immediate', 'current', 'primary', 'current,primary'])(
    '%s ends at the backup and is writable',
    async (position) => {
      const directory = await scene.pgmoneta.restore('newest', { position });
      const settings = { recovery_target_action: 'promote' };
      const restored = await startExisting(17, directory, position === 'immediate' ? { override: settings } : {});
      await until('the end of recovery', async () => (await restored.value('SELECT pg_is_in_recovery()')) === 'f');
      expect(await checksumEveryTable(restored)).toEqual(checksums);
      await restored.remove();
    },
  );

  test('replica follows its primary', async () => {
    const directory = await scene.pgmoneta.restore('newest', { position: 'replica' });
    expect(existsSync(path.join(directory, 'standby.signal'))).toBe(true);
    const auto = readFileSync(path.join(directory, 'postgresql.auto.conf'), 'utf8');
    expect(auto).toMatch(/primary_conninfo/);
    expect(auto).not.toContain(scene.role.password);
    const standby = await startExisting(17, directory, { override: { hot_standby: 'on' } });
    expect(await standby.value('SELECT pg_is_in_recovery()')).toBe('t');
    await standby.remove();
  });

  test.each([
    ['name=x,xid=7', /two targets/],
    ['inclusive=perhaps', /inclusive/],
    ["nonsense='x'", /nonsense/],
    ['timeline=0', /timeline/],
  ])('%s is refused', async (position, message) => {
    const result = await scene.pgmoneta.json('restore', 'primary', 'newest', position, scene.pgmoneta.restored);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toMatch(message);
  });
});

describe('the target', () => {
  test('that exists is refused unless forced', async () => {
    const directory = await scene.pgmoneta.restore();
    writeFileSync(path.join(directory, 'mine'), 'precious');
    const refused = await scene.pgmoneta.json('restore', 'primary', 'newest', scene.pgmoneta.restored);
    expect(refused.exit).toBe(3);
    expect(refused.document.Outcome.Message).toContain(directory);
    expect(readFileSync(path.join(directory, 'mine'), 'utf8')).toBe('precious');
    await scene.pgmoneta.restore('newest', { options: ['--force'] });
    expect(existsSync(path.join(directory, 'mine'))).toBe(false);
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
  });

  test('that the daemon cannot write to is refused, and says why', async () => {
    const result = await scene.pgmoneta.json('restore', 'primary', 'newest', '/proc/no-such-place');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toContain('/proc/no-such-place');
  });

  test('must be an absolute path for the daemon; the client makes it one or says so', async () => {
    const result = await scene.pgmoneta.json('restore', 'primary', 'newest', 'restored');
    if (result.exit === 0) expect(existsSync(path.join(scene.pgmoneta.restored, `primary-${label}`))).toBe(true);
    else expect(result.document.Outcome.Message).toMatch(/absolute/);
  });

  test('of a running cluster is not touched even when forced', async () => {
    const directory = await scene.pgmoneta.restore();
    const restored = await startExisting(17, directory);
    const result = await scene.pgmoneta.json('restore', 'primary', 'newest', scene.pgmoneta.restored, '--force');
    expect(result.exit).toBe(3);
    expect(await restored.value('SELECT 1')).toBe('1');
    await restored.remove();
  });
});

describe('tablespaces', () => {
  const oidOf = (name: string) => scene.server.value(`SELECT oid FROM pg_tablespace WHERE spcname = '${name}'`);

  test('stand beside the target', async () => {
    const directory = await scene.pgmoneta.restore();
    const link = path.join(directory, 'pg_tblspc', String(await oidOf('fast')));
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readlinkSync(link).startsWith(scene.pgmoneta.restored)).toBe(true);
  });

  test('go where they are mapped, by name, by OID and by path', async () => {
    const here = makeDirectory(path.join(scene.pgmoneta.base, 'mapped'));
    const odd = String(await oidOf('Slow & "odd" space'));
    const options = ['--tablespace-map', `fast=${here}/by-name`, '--tablespace-map', `${odd}=${here}/by oid`];
    const directory = await scene.pgmoneta.restore('newest', { options });
    expect(readlinkSync(path.join(directory, 'pg_tblspc', String(await oidOf('fast'))))).toBe(`${here}/by-name`);
    expect(readlinkSync(path.join(directory, 'pg_tblspc', odd))).toBe(`${here}/by oid`);
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
  });

  test('mapped to a directory in use are refused before anything is written', async () => {
    const used = makeDirectory(path.join(scene.pgmoneta.base, 'used'));
    writeFileSync(path.join(used, 'file'), '');
    const args = ['restore', 'primary', 'newest', scene.pgmoneta.restored, '--tablespace-map', `fast=${used}`];
    const result = await scene.pgmoneta.json(...args);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toContain(used);
    expect(existsSync(path.join(scene.pgmoneta.restored, `primary-${label}`))).toBe(false);
  });
});

describe("Debian's layout", () => {
  let debian: Scene;

  beforeAll(async () => {
    debian = await Scene.open(16, {
      workload: { rows: 500, tablespaces: false },
      server: { outsideConfiguration: true },
    });
  });
  afterAll(() => debian?.close());

  test('a data directory without configuration files is backed up, restored and started', async () => {
    const expected = await checksumEveryTable(debian.server);
    await debian.pgmoneta.backup();
    const directory = await debian.pgmoneta.restore();
    expect(existsSync(path.join(directory, 'postgresql.conf'))).toBe(false);
    const options = { override: configurationIn(path.join(debian.server.base, 'etc')) };
    expect(await proveRestored(16, directory, { checksums: expected, options })).toEqual([]);
  });

  test('as a replica too', async () => {
    debian.pgmoneta.clearRestored();
    const directory = await debian.pgmoneta.restore('newest', { position: 'replica' });
    expect(existsSync(path.join(directory, 'standby.signal'))).toBe(true);
  });
});

test('an empty directory of the image comes back', async () => {
  const directory = await scene.pgmoneta.restore();
  for (const name of ['pg_notify', 'pg_dynshmem', 'pg_replslot', 'pg_twophase', 'pg_wal/archive_status']) {
    expect(lstatSync(path.join(directory, name)).isDirectory()).toBe(true);
  }
  mkdirSync(path.join(directory, 'writable'));
});
