import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { give, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';

const READ =
  'pg_read_binary_file(text,bigint,bigint,boolean), pg_stat_file(text,boolean), pg_ls_dir(text,boolean,boolean)';

let scene: Scene;
let outside: string;
/** A file that is read in several pieces, and does not end where one of them does. */
const large = Buffer.alloc(2 * 1024 * 1024 + 7, 'pgmoneta ');

function put(name: string, content: string | Buffer): string {
  const file = path.join(outside, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  for (let at = file; at.startsWith(outside); at = path.dirname(at)) give(at);
  return file;
}

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 200 },
    start: false,
    settings: { compression: 'zstd', encryption: 'aes-256-gcm' },
  });
  outside = makeDirectory(path.join(scene.pgmoneta.base, 'etc'));
  put('pg_hba.conf', 'local all all peer\n');
  put('conf.d/empty', '');
  put("conf.d/deep/it's ünïcode.gz", 'no gzip at all');
  put('conf.d/large', large);
});
afterAll(() => scene?.close());

/** Sets `extra` and takes a backup. */
async function backup(...extra: string[]) {
  const { pgmoneta } = scene;
  await pgmoneta.stop();
  Object.assign(pgmoneta.servers[0]?.settings ?? {}, { extra: extra.join(', ') });
  pgmoneta.configure();
  await pgmoneta.start();
  return pgmoneta.must('backup', 'primary');
}

const storedBelow = (label: string) =>
  readdirSync(path.join(scene.pgmoneta.backupDirectory(label), 'extra'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

describe('extra files', () => {
  test('that the role may not read are named with what to grant; the backup is valid', async () => {
    const made = await backup(path.join(outside, 'pg_hba.conf'));
    expect(made).toMatchObject({ Valid: 'yes', ExtraFiles: 0 });
    expect(made.ExtraProblems).toHaveLength(1);
    expect(made.ExtraProblems[0]).toContain('may not read files of the server');
    expect(made.ExtraProblems[0]).toContain('GRANT pg_read_server_files TO "backup user"');
    expect((await scene.pgmoneta.must('verify', 'primary', made.Backup)).Files.Failed).toEqual({});
  });

  test('are fetched with their directories, compressed and sealed, verified, and given back', async () => {
    const { pgmoneta, server } = scene;
    await server.sql(`GRANT pg_read_server_files TO "backup user"; GRANT EXECUTE ON FUNCTION ${READ} TO "backup user"`);
    const made = await backup(path.join(outside, 'pg_hba.conf'), path.join(outside, 'conf.d'), '/no/such/file');
    expect(made).toMatchObject({ ExtraFiles: 4, ExtraProblems: [expect.stringContaining('/no/such/file')] });
    expect(made.ExtraProblems).toHaveLength(1);
    expect(made.ExtraProblems[0]).toContain('/no/such/file');
    const stored = storedBelow(made.Backup);
    expect(stored).toHaveLength(4);
    for (const file of stored) {
      expect(file).toMatch(/\.zstd\.aes$/);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file).includes('pgmoneta pgmoneta')).toBe(false);
    }
    expect((await pgmoneta.must('verify', 'primary', made.Backup)).Files.Failed).toEqual({});
    const to = path.join(pgmoneta.base, 'extra-files');
    const restored = await pgmoneta.must('restore', 'primary', made.Backup, pgmoneta.restored, '--extra', to);
    expect(restored.ExtraFiles).toBe(4);
    for (const name of ['pg_hba.conf', 'conf.d/empty', "conf.d/deep/it's ünïcode.gz", 'conf.d/large']) {
      const [source, copy] = [path.join(outside, name), path.join(to, outside, name)];
      expect(readFileSync(copy).equals(readFileSync(source)), name).toBe(true);
    }
    // Once more into the same place: nothing is touched, and it is said.
    pgmoneta.clearRestored();
    const again = await pgmoneta.must('restore', 'primary', made.Backup, pgmoneta.restored, '--extra', to);
    expect(again.ExtraFiles).toBe(0);
    expect(again.ExtraProblems.join()).toContain('is there already');
    pgmoneta.clearRestored();
  });

  test('that are damaged are found by verify and not given back', async () => {
    const { pgmoneta } = scene;
    const label = pgmoneta.backupsOnDisk().at(-1) as string;
    const victim = storedBelow(label).find((file) => file.includes('large')) as string;
    const bytes = readFileSync(victim);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(victim, bytes);
    const to = path.join(pgmoneta.base, 'extra-damaged');
    const restored = await pgmoneta.must('restore', 'primary', label, pgmoneta.restored, '--extra', to);
    expect(restored.ExtraFiles).toBe(3);
    expect(restored.ExtraProblems.join()).toContain('does not match backup.sha512');
    expect(existsSync(path.join(to, outside, 'conf.d/large'))).toBe(false);
    const verified = await pgmoneta.json('verify', 'primary', label);
    expect(JSON.stringify(verified.document)).toContain('large');
    pgmoneta.clearRestored();
  });

  test('come through the functions of pgmoneta_ext when only they may be used', async () => {
    const { server } = scene;
    await server.sql(`REVOKE EXECUTE ON FUNCTION ${READ} FROM "backup user"`);
    await server.sql(`CREATE SCHEMA "odd schema"; GRANT USAGE ON SCHEMA "odd schema" TO "backup user"`);
    await server.sql(`CREATE FUNCTION "odd schema".pgmoneta_ext_get_file(file_path text) RETURNS text SECURITY DEFINER
      LANGUAGE sql AS $$ SELECT encode(pg_read_binary_file(file_path), 'base64') $$`);
    await server.sql(`CREATE FUNCTION "odd schema".pgmoneta_ext_get_files(file_path text, OUT name text, OUT is_dir boolean,
      OUT size bigint) RETURNS SETOF record SECURITY DEFINER LANGUAGE sql AS $$
      SELECT file_path || '/' || f, s.isdir, s.size FROM pg_ls_dir(file_path) f, pg_stat_file(file_path || '/' || f) s
      UNION ALL SELECT file_path, true, 0 $$`);
    const made = await backup(path.join(outside, 'conf.d'));
    expect(made.ExtraProblems).toBeUndefined();
    expect(made.ExtraFiles).toBe(2);
    const to = path.join(scene.pgmoneta.base, 'extra-by-extension');
    await scene.pgmoneta.must('restore', 'primary', made.Backup, scene.pgmoneta.restored, '--extra', to);
    expect(readFileSync(path.join(to, outside, 'conf.d/large')).equals(large)).toBe(true);
  });
});
