import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { give } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
const CONTENT = 'some text that is worth keeping\n'.repeat(5000);

beforeAll(async () => {
  scene = await Scene.open(17, { workload: false, settings: { encryption: 'aes-256-gcm' } });
});
afterAll(() => scene?.close());

function newFile(name: string): string {
  const file = path.join(scene.pgmoneta.base, name);
  writeFileSync(file, CONTENT, { mode: 0o600 });
  give(file);
  return file;
}

test.each([
  ['gzip', '.gz'],
  ['zstd', '.zstd'],
  ['lz4', '.lz4'],
  ['bzip2', '.bz2'],
])('compress and decompress with %s', async (compression, suffix) => {
  await scene.pgmoneta.must('conf', 'set', 'compression', compression);
  const file = newFile(`file with blanks ${compression}`);
  expect((await scene.pgmoneta.must('compress', file)).DestinationFile).toBe(`${file}${suffix}`);
  expect(existsSync(file)).toBe(false);
  expect((await scene.pgmoneta.must('decompress', `${file}${suffix}`)).DestinationFile).toBe(file);
  expect(readFileSync(file, 'utf8')).toBe(CONTENT);
  expect(existsSync(`${file}${suffix}`)).toBe(false);
});

test('encrypt and decrypt', async () => {
  const file = newFile('secret');
  expect((await scene.pgmoneta.must('encrypt', file)).DestinationFile).toBe(`${file}.aes`);
  expect(readFileSync(`${file}.aes`)).toHaveLength(CONTENT.length + 44);
  expect((await scene.pgmoneta.must('decrypt', `${file}.aes`)).DestinationFile).toBe(file);
  expect(readFileSync(file, 'utf8')).toBe(CONTENT);
});

test('a damaged file is refused and stays', async () => {
  const file = newFile('damaged');
  await scene.pgmoneta.must('encrypt', file);
  const bytes = readFileSync(`${file}.aes`);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(`${file}.aes`, bytes);
  const result = await scene.pgmoneta.json('decrypt', `${file}.aes`);
  expect(result.exit).toBe(3);
  expect(existsSync(file)).toBe(false);
  expect(existsSync(`${file}.aes`)).toBe(true);
});

test.each(['compress', 'decompress', 'encrypt', 'decrypt'])('%s of a file that is not there', async (command) => {
  const result = await scene.pgmoneta.json(command, '/no/such/file.gz.aes');
  expect(result.exit).toBe(3);
  expect(result.document.Outcome.Message).toContain('/no/such/file');
});
