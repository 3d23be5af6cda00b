import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';
import { lock } from '../../../src/repository/locks.js';
import { type ServerPaths, serverPaths } from '../../../src/repository/paths.js';
import { finishRewrites, rewriteBackupInfo, rewriteSteps } from '../../../src/repository/rewrite-info.js';
import { refusal, temporaryDirectory } from '../temporary.js';

const LABEL = '20260102030405';
const never = new AbortController().signal;
let paths: ServerPaths;
let directory: string;

const sha512 = (bytes: Buffer | string): string => createHash('sha512').update(bytes).digest('hex');
const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
const info = () => parseBackupInfo(read('backup.info'));

/** A backup of three files beside its description. */
function layOut(infoLine: (digest: string) => string): void {
  mkdirSync(join(directory, 'data'), { recursive: true });
  const text = formatBackupInfo({ ...parseBackupInfo('STATUS=1\nCOMMENTS=a|b\n'), label: LABEL });
  const files = { 'backup.info': text, 'backup.manifest': 'x,y\n', 'data/a': 'alpha', 'data/b backup.info': 'beta' };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const lines = Object.entries(files).map(([name, content]) =>
    name === 'backup.info' ? infoLine(sha512(content)) : `${sha512(content)} *./${name}\n`,
  );
  writeFileSync(join(directory, 'backup.sha512'), lines.join(''));
}

/** What `sha512sum --check` says: the judge that users have. */
function sha512sum(): void {
  execFileSync('sha512sum', ['--check', '--strict', '--quiet', 'backup.sha512'], { cwd: directory, stdio: 'pipe' });
}

const retain = () => rewriteBackupInfo(paths, LABEL, (old) => ({ ...old, keep: true }), 'test', never);

beforeEach(() => {
  paths = serverPaths(temporaryDirectory(), 'primary');
  directory = join(paths.backups, LABEL);
  layOut((digest) => `${digest} *./backup.info\n`);
});

describe('a change of backup.info', () => {
  it('changes its line in backup.sha512 too, and nothing else', async () => {
    const others = read('backup.sha512')
      .split('\n')
      .filter((line) => !line.endsWith('./backup.info'));
    await retain();
    expect(info()).toMatchObject({ keep: true, status: true, comments: 'a|b' });
    sha512sum();
    expect(
      read('backup.sha512')
        .split('\n')
        .filter((line) => !line.endsWith('*./backup.info')),
    ).toEqual(others);
    expect(readdirSync(paths.rewrite)).toEqual([]);
    expect(readdirSync(directory).toSorted()).toEqual(['backup.info', 'backup.manifest', 'backup.sha512', 'data']);
    for (const name of ['backup.info', 'backup.sha512'])
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['the line that 0.21 appends', (digest: string) => `${digest} *.backup.info\n`],
    ['no line at all', () => ''],
    ['two of them', (digest: string) => `${digest} *./backup.info\n${'0'.repeat(128)} *.backup.info\n`],
  ])('copes with %s', async (_what, line) => {
    layOut(line);
    await retain();
    sha512sum();
    expect(
      read('backup.sha512')
        .split('\n')
        .filter((text) => text.includes('*./backup.info')),
    ).toHaveLength(1);
    expect(read('backup.sha512').split('\n')).toHaveLength(5);
  });

  it('copes with a list whose last line has no end', async () => {
    writeFileSync(join(directory, 'backup.sha512'), read('backup.sha512').trimEnd());
    await retain();
    sha512sum();
  });

  it('reads a list of megabytes as a stream, lines across its pieces included', async () => {
    const lines = Array.from(
      { length: 40_000 },
      (_, n) => `${sha512(String(n % 100))} *./data/base/${n}/${'x'.repeat(n % 97)}\n`,
    );
    writeFileSync(
      join(directory, 'backup.sha512'),
      `${lines.slice(0, 20_000).join('')}${sha512(read('backup.info'))} *./backup.info\n${lines.slice(20_000).join('')}`,
    );
    await retain();
    expect(read('backup.sha512')).toBe(`${lines.join('')}${sha512(read('backup.info'))} *./backup.info\n`);
  });

  it('is none when there is nothing to change', async () => {
    const before = statSync(join(directory, 'backup.info')).ino;
    await rewriteBackupInfo(paths, LABEL, () => undefined, 'test', never);
    expect(statSync(join(directory, 'backup.info')).ino).toBe(before);
  });

  it('does not reach another backup through a shared file', async () => {
    mkdirSync(join(paths.backups, '20260101000000'));
    const other = join(paths.backups, '20260101000000', 'backup.info');
    linkSync(join(directory, 'backup.info'), other);
    await retain();
    expect(readFileSync(other, 'utf8')).toContain('KEEP=0');
  });

  it('waits for another one, and two of them lose nothing', async () => {
    const note = (key: string) =>
      rewriteBackupInfo(paths, LABEL, (old) => ({ ...old, comments: `${old.comments},${key}|1` }), 'test', never);
    await Promise.all(['x', 'y', 'z'].map(note));
    expect(info().comments.split(',').toSorted()).toEqual(['a|b', 'x|1', 'y|1', 'z|1']);
    sha512sum();
  });

  it('is refused with the reason when backup.info is damaged or gone', async () => {
    writeFileSync(join(directory, 'backup.info'), 'nonsense\n');
    await refusal(retain, 'REPOSITORY_DAMAGED', /backup\.info:1/);
    rmSync(join(directory, 'backup.info'));
    await refusal(retain, 'IO', /backup\.info cannot be read.*ENOENT/);
  });
});

describe('killed', () => {
  const changed = () => formatBackupInfo({ ...info(), keep: true });
  const names = [
    'copy the hash list',
    'write the journal',
    'replace backup.info',
    'replace backup.sha512',
    'remove the journal',
  ];

  it('has these moments', () => {
    expect(rewriteSteps(paths, LABEL, changed()).map(({ name }) => name)).toEqual(names);
  });

  // Number of steps that were done when the process died; from 2 on the change is decided.
  it.each([0, 1, 2, 3, 4, 5])('after %i steps: all of it or nothing, once it is finished', async (done) => {
    mkdirSync(paths.rewrite, { recursive: true });
    for (const { run } of rewriteSteps(paths, LABEL, changed()).slice(0, done)) await run();
    expect(await finishRewrites(paths, 'test', never)).toEqual(done >= 2 && done < 5 ? [LABEL] : []);
    expect(info().keep).toBe(done >= 2);
    sha512sum();
    expect(readdirSync(paths.rewrite)).toEqual([]);
    expect(await finishRewrites(paths, 'test', never)).toEqual([]);
  });

  it.each([0, 1, 2, 3, 4, 5])('after %i steps, and again in every step of finishing it', async (done) => {
    mkdirSync(paths.rewrite, { recursive: true });
    const text = changed();
    for (const { run } of rewriteSteps(paths, LABEL, text).slice(0, done)) await run();
    if (done >= 2 && done < 5) {
      for (let again = 0; again <= 3; again++) {
        const steps = rewriteSteps(paths, LABEL, text).filter(({ name }) => name !== 'write the journal');
        for (const { run } of steps.slice(0, again)) await run();
      }
    }
    await finishRewrites(paths, 'test', never);
    expect(info().keep).toBe(done >= 2);
    sha512sum();
  });

  it('with half a journal: it is forgotten', async () => {
    mkdirSync(paths.rewrite, { recursive: true });
    writeFileSync(join(paths.rewrite, `.${LABEL}.info.tmp-1`), 'PGMONETA_VER');
    await finishRewrites(paths, 'test', never);
    expect(info().keep).toBe(false);
    expect(readdirSync(paths.rewrite)).toEqual([]);
  });

  it('and the backup is deleted before it is finished: nothing comes back', async () => {
    mkdirSync(paths.rewrite, { recursive: true });
    for (const { run } of rewriteSteps(paths, LABEL, changed()).slice(0, 3)) await run();
    rmSync(directory, { recursive: true });
    expect(await finishRewrites(paths, 'test', never)).toEqual([]);
    expect(readdirSync(paths.backups)).toEqual([]);
    expect(readdirSync(paths.rewrite)).toEqual([]);
  });

  it('the next change finishes the one before first', async () => {
    mkdirSync(paths.rewrite, { recursive: true });
    for (const { run } of rewriteSteps(paths, LABEL, changed()).slice(0, 2)) await run();
    await rewriteBackupInfo(paths, LABEL, (old) => ({ ...old, comments: 'new|1' }), 'test', never);
    expect(info()).toMatchObject({ keep: true, comments: 'new|1' });
    sha512sum();
  });

  it('nothing is finished that somebody else is at', async () => {
    mkdirSync(paths.rewrite, { recursive: true });
    for (const { run } of rewriteSteps(paths, LABEL, changed()).slice(0, 2)) await run();
    const held = await lock(paths.infoLock, 'exclusive', 'another', 'REPOSITORY_LOCKED');
    await expect(finishRewrites(paths, 'test', AbortSignal.timeout(300))).rejects.toThrow(/aborted|another/);
    expect(info().keep).toBe(false);
    held.release();
  });
});
