import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: false, settings: { s3_secret_access_key: 'never-show-me' } });
});
afterAll(() => scene?.close());

describe('conf ls and get', () => {
  test('ls names the files', async () => {
    const response = await scene.pgmoneta.must('conf', 'ls');
    expect(response.main_configuration_path).toBe(scene.pgmoneta.configuration);
    expect(response.users_configuration_path).toBe(scene.pgmoneta.users);
  });

  test('get shows one value plainly', async () => {
    const result = await scene.pgmoneta.cli('conf', 'get', 'base_dir');
    expect(result.stdout).toBe(`${scene.pgmoneta.repository}\n`);
    const server = await scene.pgmoneta.cli('conf', 'get', 'server.primary.port');
    expect(server.stdout).toBe(`${scene.server.port}\n`);
  });

  test('secrets are never shown', async () => {
    const { stdout } = await scene.pgmoneta.cli('-F', 'json', 'conf', 'get');
    expect(stdout).not.toContain('never-show-me');
    expect(stdout).not.toContain(scene.role.password);
    expect((await scene.pgmoneta.cli('conf', 'get', 's3_secret_access_key')).stdout).not.toContain('never-show-me');
    expect(readFileSync(scene.pgmoneta.log, 'utf8')).not.toContain('never-show-me');
  });

  test('an unknown key fails', async () => {
    expect((await scene.pgmoneta.cli('conf', 'get', 'no_such_key')).exit).not.toBe(0);
  });
});

describe('conf set', () => {
  test('is applied to the running daemon', async () => {
    const result = await scene.pgmoneta.cli('conf', 'set', 'compression', 'lz4');
    expect(result.stdout).toContain('Configuration change applied successfully');
    expect((await scene.pgmoneta.must('backup', 'primary')).Compression).toBe('lz4');
  });

  test('is written to the file with --persist, comments and all else kept', async () => {
    const before = readFileSync(scene.pgmoneta.configuration, 'utf8');
    const result = await scene.pgmoneta.cli('conf', 'set', '--persist', 'log_level', 'debug');
    expect(result.stdout).toContain(`Written to: ${scene.pgmoneta.configuration}`);
    const after = readFileSync(scene.pgmoneta.configuration, 'utf8');
    expect(after).toMatch(/^log_level = debug$/m);
    const others = (text: string) => text.split('\n').filter((line) => !line.startsWith('log_level') && line !== '');
    expect(others(after)).toEqual(others(before));
    await scene.pgmoneta.must('conf', 'reload');
    expect((await scene.pgmoneta.cli('conf', 'get', 'log_level')).stdout).toBe('debug\n');
  });

  test('a refused value is not written either', async () => {
    const before = readFileSync(scene.pgmoneta.configuration, 'utf8');
    expect((await scene.pgmoneta.cli('conf', 'set', '--persist', 'compression', 'zip')).exit).not.toBe(0);
    expect(readFileSync(scene.pgmoneta.configuration, 'utf8')).toBe(before);
  });

  test('says when a restart is needed, and changes nothing', async () => {
    const result = await scene.pgmoneta.cli('conf', 'set', 'base_dir', '/elsewhere');
    const text = result.stdout + result.stderr;
    expect(text).toMatch(/restart|cannot be set|not settable/i);
    expect((await scene.pgmoneta.cli('conf', 'get', 'base_dir')).stdout).toBe(`${scene.pgmoneta.repository}\n`);
  });

  test.each([
    ['compression', 'zip'],
    ['no_such_key', '1'],
    ['server.nosuch.port', '1'],
    ['compression_level', 'high'],
  ])('%s = %s is refused', async (key, value) => {
    expect((await scene.pgmoneta.cli('conf', 'set', key, value)).exit).not.toBe(0);
  });
});

describe('conf reload', () => {
  test('takes over what is hot, names what needs a restart', async () => {
    scene.pgmoneta.configure({ compression: 'gzip', host: 'localhost' });
    const response = await scene.pgmoneta.must('conf', 'reload');
    expect(response.Restart).toBe(true);
    expect((await scene.pgmoneta.must('backup', 'primary')).Compression).toBe('gzip');
    scene.pgmoneta.configure({ host: '127.0.0.1' });
    expect((await scene.pgmoneta.must('conf', 'reload')).Restart).toBe(false);
  });

  test('a broken file changes nothing and says file, line and key', async () => {
    const text = readFileSync(scene.pgmoneta.configuration, 'utf8');
    scene.pgmoneta.writeConfiguration(`${text}\nno_such_key = 1\nport = many\n`);
    const result = await scene.pgmoneta.json('conf', 'reload');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toMatch(/pgmoneta\.conf:\d+/);
    expect(result.document.Outcome.Message).toContain('no_such_key');
    expect(result.document.Outcome.Message).toContain('many');
    expect((await scene.pgmoneta.must('backup', 'primary')).Compression).toBe('gzip');
    scene.pgmoneta.writeConfiguration(text);
  });

  test('SIGHUP does the same', async () => {
    scene.pgmoneta.configure({ compression: 'bzip2' });
    process.kill(scene.pgmoneta.pid as number, 'SIGHUP');
    await until('the new value', async () =>
      (await scene.pgmoneta.cli('conf', 'get', 'compression')).stdout.includes('bzip2'),
    );
  });
});
