import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { archiveCipher, archivePath, GCM_LIMIT } from '../../../src/restore/archive.js';
import { tarSize, tarTree } from '../../../src/restore/tar-tree.js';
import { temporaryDirectory } from '../temporary.js';

const LONG = `${'a'.repeat(120)}/${'b'.repeat(200)}/${'ü'.repeat(90)}`;

async function tarOf(root: string, signal = new AbortController().signal): Promise<{ bytes: Buffer; counted: number }> {
  const chunks: Buffer[] = [];
  let counted = 0;
  for await (const chunk of tarTree(root, signal, (count) => {
    counted += count;
  })) {
    chunks.push(Buffer.from(chunk));
  }
  return { bytes: Buffer.concat(chunks), counted };
}

describe('a tar of a tree', () => {
  it('gives back files, directories, links, modes and times to the tar of the system', async () => {
    const base = temporaryDirectory();
    const root = path.join(base, 'tree');
    mkdirSync(path.join(root, 'data/pg_tblspc'), { recursive: true });
    mkdirSync(path.join(root, 'empty'), { mode: 0o700 });
    mkdirSync(path.join(root, path.dirname(LONG)), { recursive: true });
    writeFileSync(path.join(root, LONG), 'deep');
    writeFileSync(path.join(root, 'data/nothing'), '');
    writeFileSync(path.join(root, 'data/large'), Buffer.alloc(3_000_001, 'xyz'));
    chmodSync(path.join(root, 'data/large'), 0o640);
    utimesSync(path.join(root, 'data/large'), 1_700_000_000, 1_700_000_000);
    symlinkSync('../../other-tblspc_fast', path.join(root, 'data/pg_tblspc/16384'));
    const { bytes, counted } = await tarOf(root);
    expect(counted).toBe(3_000_005);
    expect(bytes.length).toBeLessThanOrEqual(await tarSize(root));
    const target = path.join(base, 'out');
    mkdirSync(target);
    const unpacked = spawnSync('tar', ['-x', '-p', '-f', '-', '-C', target], { input: bytes, encoding: 'utf8' });
    expect(unpacked.stderr).toBe('');
    expect(unpacked.status).toBe(0);
    const at = (name: string) => path.join(target, name);
    expect(readFileSync(at(LONG), 'utf8')).toBe('deep');
    expect(readFileSync(at('data/nothing')).length).toBe(0);
    expect(readFileSync(at('data/large')).equals(readFileSync(path.join(root, 'data/large')))).toBe(true);
    expect(lstatSync(at('data/large')).mode & 0o777).toBe(0o640);
    expect(lstatSync(at('data/large')).mtimeMs).toBe(1_700_000_000_000);
    expect(lstatSync(at('empty')).mode & 0o777).toBe(0o700);
    expect(readlinkSync(at('data/pg_tblspc/16384'))).toBe('../../other-tblspc_fast');
  });

  it('refuses a name that is not UTF-8, and ends when it is aborted', async () => {
    const root = temporaryDirectory();
    writeFileSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff])]), 'x');
    await expect(tarOf(root)).rejects.toThrow('not UTF-8');
    const other = temporaryDirectory();
    writeFileSync(path.join(other, 'file'), 'x');
    await expect(tarOf(other, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });

  it('fails when a file shrinks while it is read', async () => {
    const root = temporaryDirectory();
    const file = path.join(root, 'file');
    writeFileSync(file, Buffer.alloc(20_000_000));
    await expect(async () => {
      for await (const chunk of tarTree(root, new AbortController().signal, () => {})) {
        if (chunk.length > 0) truncateSync(file, 10);
      }
    }).rejects.toThrow(/size/i);
  });
});

describe('an archive', () => {
  it('is named by codec and cipher', () => {
    expect(archivePath('/a', 'archive-db-1', 'zstd', 'aes-256-gcm')).toBe('/a/archive-db-1.tar.zstd.aes');
    expect(archivePath('/a', 'archive-db-1', 'bzip2', 'none')).toBe('/a/archive-db-1.tar.bz2');
    expect(archivePath('/a', 'archive-db-1', 'none', 'none')).toBe('/a/archive-db-1.tar');
  });

  it('is sealed in counter mode where one message of GCM could be too short', () => {
    expect(archiveCipher('aes-256-gcm', GCM_LIMIT / 2)).toBe('aes-256-gcm');
    expect(archiveCipher('aes-256-gcm', GCM_LIMIT)).toBe('aes-256-ctr');
    expect(archiveCipher('aes-128-gcm', 1e12)).toBe('aes-128-ctr');
    expect(archiveCipher('aes-192-cbc', 1e12)).toBe('aes-192-cbc');
    expect(archiveCipher('none', 1e12)).toBe('none');
  });
});
