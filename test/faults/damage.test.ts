import { existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { give } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { addNoise } from '../support/workload.mjs';

const FORMS = [
  ['none', 'none', ''],
  ['zstd', 'none', '.zstd'],
  ['zstd', 'aes-256-gcm', '.zstd.aes'],
] as const;

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 1000 } });
  await addNoise(scene.server, 4);
});
afterAll(() => scene?.close());

/** Breaks a file; the original is kept aside, because unchanged files are shared between backups. */
const DAMAGE: Record<string, (file: string) => void> = {
  'a flipped bit in the middle': (file) => {
    const bytes = readFileSync(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  },
  'the last byte cut off': (file) => truncateSync(file, readFileSync(file).length - 1),
  emptied: (file) => truncateSync(file, 0),
  'bytes appended': (file) => writeFileSync(file, 'tail', { flag: 'a' }),
  missing: (file) => rmSync(file),
};

describe.each(FORMS)('compression %s, encryption %s', (compression, encryption, suffix) => {
  let label: string;
  let relation: string;

  beforeAll(async () => {
    await scene.reconfigure({ compression, encryption });
    label = await scene.pgmoneta.backup();
    relation = String(
      await scene.server.value(`SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'noise'`),
    );
  });

  describe.each(Object.keys(DAMAGE))('%s', (kind) => {
    const stored = () => path.join(scene.pgmoneta.backupDirectory(label), 'data', `${relation}${suffix}`);

    beforeAll(() => {
      const original = readFileSync(stored());
      renameSync(stored(), `${scene.pgmoneta.base}/original`);
      writeFileSync(stored(), original, { mode: 0o600 });
      DAMAGE[kind]?.(stored());
      // Otherwise the daemon could not even read it, which is another fault.
      if (existsSync(stored())) give(stored());
    });
    afterAll(async () => {
      renameSync(`${scene.pgmoneta.base}/original`, stored());
      // The verification has made the backup invalid; with its file back another one makes it valid again.
      await scene.pgmoneta.must('verify', 'primary', label);
    });

    test('restore refuses, names the file, and leaves nothing', async () => {
      const result = await scene.pgmoneta.json('restore', 'primary', label, scene.pgmoneta.restored);
      expect(result.exit).toBe(3);
      expect(result.document.Outcome.Message).toContain(relation);
      expect(
        readdirSync(scene.pgmoneta.restored).filter((name) =>
          existsSync(path.join(scene.pgmoneta.restored, name, 'global/pg_control')),
        ),
      ).toEqual([]);
    });

    test('verify names the file, ends with 3, and the backup is no longer valid', async () => {
      const result = await scene.pgmoneta.json('verify', 'primary', label);
      expect(result.exit).toBe(3);
      expect(JSON.stringify(result.document)).toContain(path.basename(relation));
      expect((await scene.pgmoneta.must('info', 'primary', label)).Valid).toBe('no');
    });

    test('the next backup does not inherit it', async () => {
      const next = await scene.pgmoneta.backup();
      expect((await scene.pgmoneta.must('verify', 'primary', next)).Files.Failed).toEqual({});
      await scene.pgmoneta.must('delete', 'primary', next);
    });
  });

  test('a file too many is reported', async () => {
    const surplus = path.join(scene.pgmoneta.backupDirectory(label), 'data', 'base', `99999${suffix}`);
    writeFileSync(surplus, 'surplus');
    const result = await scene.pgmoneta.json('verify', 'primary', label);
    rmSync(surplus);
    expect(result.exit).toBe(3);
    expect(JSON.stringify(result.document)).toContain('99999');
  });

  test('whole again, it verifies', async () => {
    expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
  });

  test.each(['backup.info', 'backup.json', 'backup.sha512', 'data/backup_manifest'])(
    'a damaged %s is never taken for a good backup',
    async (name) => {
      const file = path.join(scene.pgmoneta.backupDirectory(label), name);
      const original = readFileSync(file);
      writeFileSync(file, original.subarray(0, Math.floor(original.length / 2)));
      const result = await scene.pgmoneta.json('verify', 'primary', label);
      expect(result.exit).toBe(3);
      expect(result.stdout + result.stderr).toContain(path.basename(name));
      writeFileSync(file, original);
      expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
    },
  );
});

describe('keys', () => {
  test('a backup of another master key is refused, and says that the key is wrong', async () => {
    await scene.reconfigure({ compression: 'zstd', encryption: 'aes-256-gcm' });
    const label = await scene.pgmoneta.backup();
    await scene.pgmoneta.stop();
    const key = path.join(scene.pgmoneta.home, '.pgmoneta', 'master.key');
    const original = readFileSync(key);
    rmSync(key);
    rmSync(scene.pgmoneta.users);
    await scene.pgmoneta.admin(['master-key', '-P', 'quite another master key']);
    await scene.pgmoneta.admin([
      '-f',
      scene.pgmoneta.users,
      '-U',
      scene.role.name,
      '-P',
      scene.role.password,
      'user',
      'add',
    ]);
    await scene.pgmoneta.start();
    const result = await scene.pgmoneta.json('restore', 'primary', label, scene.pgmoneta.restored);
    expect(result.exit).toBe(3);
    expect(`${result.document.Outcome.Message} ${result.document.Outcome.Hint}`).toMatch(/key/i);
    expect(original.length).toBeGreaterThan(0);
  });
});
