/** Turns stored backups into the plain directories that PostgreSQL's own tools read, and lets those judge. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { decompressFile } from '../../src/native/codec.js';
import { decryptFile } from '../../src/native/crypto.js';
import { masterSecret } from '../support/c-repository.mjs';
import { onExit } from '../support/cleanup.mjs';
import type { Pgmoneta } from '../support/pgmoneta.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { identity, temporaryDirectory } from '../support/runtime.mjs';
import { type Server, startExisting } from '../support/server.mjs';

/** One line of the list of files in `backup.json`. */
export interface ListedFile {
  readonly Path: string;
  readonly Stored: string;
  readonly Size: number;
  readonly BlockLength?: number;
  readonly Pieces?: string;
  readonly Linked?: string;
}

/** `backup.json` of a backup. */
export function listOf(pgmoneta: Pgmoneta, label: string) {
  const text = readFileSync(path.join(pgmoneta.backupDirectory(label), 'backup.json'), 'utf8');
  return JSON.parse(text) as {
    Backup: Record<string, unknown> & { tablespaces: { oid: string }[] };
    Files: ListedFile[];
    Directories: { Path: string }[];
  };
}

/** Decodes a stored backup into `<root>/<label>`; each tablespace goes to `<root>/<label>-<oid>`. */
async function plainBackup(pgmoneta: Pgmoneta, label: string, root: string): Promise<string> {
  const target = path.join(root, label);
  const stored = pgmoneta.backupDirectory(label);
  const { Backup, Files, Directories } = listOf(pgmoneta, label);
  mkdirSync(path.join(target, 'pg_tblspc'), { recursive: true, mode: 0o700 });
  for (const { oid } of Backup.tablespaces) {
    mkdirSync(`${target}-${oid}`, { mode: 0o700 });
    symlinkSync(`${target}-${oid}`, path.join(target, 'pg_tblspc', oid));
  }
  for (const { Path } of Directories) mkdirSync(path.join(target, Path), { recursive: true, mode: 0o700 });
  copyFileSync(path.join(stored, 'data/backup_manifest'), path.join(target, 'backup_manifest'));
  const secret = masterSecret(pgmoneta.home);
  const queue = [...Files];
  const worker = async (): Promise<void> => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      const suffix = path.basename(file.Stored).slice(path.basename(file.Path).length);
      let copy = path.join(target, file.Path) + suffix;
      mkdirSync(path.dirname(copy), { recursive: true, mode: 0o700 });
      copyFileSync(path.join(stored, file.Stored), copy);
      if (copy.endsWith('.aes')) copy = (await decryptFile(copy, { masterSecret: secret })).destination;
      if (copy !== path.join(target, file.Path)) await decompressFile(copy);
    }
  };
  await Promise.all([1, 2, 3, 4].map(worker));
  return target;
}

/** Decoding makes every file durable: where nothing is, that costs nothing. */
function workDirectory(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return temporaryDirectory('chain');
  const directory = mkdtempSync(path.join(memory, 'pgm-chain-'));
  onExit(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * Has a chain, oldest backup first, combined by PostgreSQL: pg_verifybackup every part, pg_combinebackup the whole.
 * @returns the data directory, not started; its tablespaces stand beside it
 */
export async function combineByReferee(
  pgmoneta: Pgmoneta,
  major: number,
  labels: readonly string[],
): Promise<{ directory: string; root: string }> {
  const judge = referee(major);
  if (judge === undefined) throw new Error('no referee');
  const root = workDirectory();
  const parts: string[] = [];
  for (const label of labels) {
    const plain = await plainBackup(pgmoneta, label, root);
    const verdict = verifyBackup(plain, major);
    if (verdict.exit !== 0) throw new Error(`pg_verifybackup refuses ${label}: ${verdict.output}`);
    parts.push(plain);
  }
  const directory = path.join(root, 'result');
  const newest = labels.at(-1) ?? '';
  const maps = listOf(pgmoneta, newest).Backup.tablespaces.flatMap(({ oid }) => [
    '-T',
    `${path.join(root, newest)}-${oid}=${directory}-${oid}`,
  ]);
  const combined = spawnSync(path.join(judge.bin, 'pg_combinebackup'), [...parts, '-o', directory, ...maps], {
    encoding: 'utf8',
  });
  if (combined.status !== 0) throw new Error(`pg_combinebackup: ${combined.stderr}`);
  return { directory, root };
}

/**
 * Lets PostgreSQL judge a chain, oldest backup first: combined, pg_verifybackup of the result, and it starts.
 * @returns the running server; remove it, and then the directory
 */
export async function judgeChain(
  pgmoneta: Pgmoneta,
  major: number,
  labels: readonly string[],
): Promise<{ server: Server; remove: () => Promise<void> }> {
  const { directory, root } = await combineByReferee(pgmoneta, major, labels);
  const verdict = verifyBackup(directory, major);
  if (verdict.exit !== 0) throw new Error(`pg_verifybackup refuses the result: ${verdict.output}`);
  const who = identity();
  if (who) execFileSync('chown', ['-R', `${who.uid}:${who.gid}`, root]);
  const server = await startExisting(major, directory);
  const remove = async (): Promise<void> => {
    await server.remove();
    rmSync(root, { recursive: true, force: true });
  };
  return { server, remove };
}

/** Every regular file below a data directory, tablespaces included, by its path in the cluster. */
function filesOf(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  const look = (relative: string): void => {
    for (const entry of readdirSync(path.join(directory, relative), { withFileTypes: true })) {
      const below = path.join(relative, entry.name);
      if (entry.isFile()) found.set(below, path.join(directory, below));
      else look(below);
    }
  };
  look('');
  return found;
}

/** Paths of the files in which two data directories differ, with the reason; their manifests are not compared. */
export function differences(ours: string, theirs: string): string[] {
  const [mine, other] = [filesOf(ours), filesOf(theirs)];
  const names = [...new Set([...mine.keys(), ...other.keys()])].filter((name) => name !== 'backup_manifest');
  return names.flatMap((name) => {
    const [one, two] = [mine.get(name), other.get(name)];
    if (one === undefined) return [`${name}: not in ours`];
    if (two === undefined) return [`${name}: only in ours`];
    if (statSync(one).size !== statSync(two).size)
      return [`${name}: ${statSync(one).size}, ${statSync(two).size} bytes`];
    const [left, right] = [readFileSync(one), readFileSync(two)];
    if (left.equals(right)) return [];
    const at = left.findIndex((byte, index) => byte !== right[index]);
    return [`${name}: differs in block ${Math.floor(at / 8192)}`];
  });
}
