import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { pack } from 'tar-stream';
import { BackupReceiver } from '../../../src/native/receiver.js';
import { formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';
import type { KnownBackup } from '../../../src/repository/catalogue.js';
import { codecOf, compressionCode, encryptionCode } from '../../../src/repository/codes.js';
import { makeDirectories } from '../../../src/repository/directories.js';
import { renameDurable } from '../../../src/repository/durable.js';
import type { ServerPaths } from '../../../src/repository/paths.js';
import { controlFile, crc32c } from '../native/stored-backup.js';

/**
 * A cluster of a few blocks that lives in memory, and sends base backups as PostgreSQL 17 does: files as they are, or
 * `INCREMENTAL.*` with the blocks that differ from a parent, in PostgreSQL's format.
 */

const BLOCK = 8192;
const MAGIC = 0xd3ae1f0d;
const SYSTEM = 7710222501349654523n;
const CONTROL = controlFile(SYSTEM, 1700);
/** A file is sent whole when more than this share of it has changed. */
const WHOLE = 0.9;

/** The versions of the blocks of each relation, by name of its file. */
type Relations = ReadonlyMap<string, readonly number[]>;

/** What a backup was taken of. */
export interface Snapshot {
  readonly label: string;
  /** Which backup of the cluster it is: WAL goes on from one to the next. */
  readonly number: number;
  readonly relations: Relations;
  readonly parent: string | undefined;
}

/** How a backup is stored. */
export interface StoredForm {
  readonly compression: string;
  readonly encryption: string;
  readonly masterSecret: Buffer;
}

function block(relation: string, number: number, version: number): Buffer {
  return version === 0 ? Buffer.alloc(BLOCK) : Buffer.alloc(BLOCK, `${relation} block ${number} version ${version} `);
}

const lsn = (number: number): string => `0/${(number * 0x1000000 + 0x28).toString(16).toUpperCase()}`;
const segment = (number: number): string => `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`;

/** The files that a restore of a backup has to make, but for those that tell of backups. */
export function contentOf({ relations, number }: Snapshot): Map<string, Buffer> {
  const files = new Map<string, Buffer>([
    ['PG_VERSION', Buffer.from('17\n')],
    ['base/1/PG_VERSION', Buffer.from('17\n')],
    ['global/pg_control', CONTROL],
    ['pg_xact/0000', Buffer.alloc(300, `state ${number} `)],
  ]);
  for (const [name, versions] of relations) {
    files.set(`base/1/${name}`, Buffer.concat(versions.map((version, at) => block(name, at, version))));
  }
  return files;
}

/** A file of changed blocks: header, numbers, padding, blocks. */
function incrementalFile(name: string, versions: readonly number[], changed: readonly number[]): Buffer {
  const header = Buffer.alloc(12 + 4 * changed.length);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(changed.length, 4);
  header.writeUInt32LE(versions.length, 8);
  for (const [at, number] of changed.entries()) header.writeUInt32LE(number, 12 + 4 * at);
  if (changed.length === 0) return header;
  const padding = Buffer.alloc(Math.ceil(header.length / BLOCK) * BLOCK - header.length);
  return Buffer.concat([header, padding, ...changed.map((at) => block(name, at, versions[at] ?? 0))]);
}

/** What the server sends: everything, or of relations that the parent knows the changed blocks. */
function sent(now: Snapshot, parent: Snapshot | undefined): Map<string, Buffer> {
  const files = contentOf(now);
  for (const [name, versions] of now.relations) {
    const old = parent?.relations.get(name);
    if (old === undefined || versions.length === 0) continue;
    const changed = versions.flatMap((version, at) => (at >= old.length || version !== old[at] ? [at] : []));
    if (changed.length > versions.length * WHOLE) continue;
    files.delete(`base/1/${name}`);
    files.set(`base/1/INCREMENTAL.${name}`, incrementalFile(name, versions, changed));
  }
  const lines = [
    `START WAL LOCATION: ${lsn(now.number)} (file ${segment(now.number)})`,
    `CHECKPOINT LOCATION: ${lsn(now.number)}`,
    'BACKUP METHOD: streamed',
    'BACKUP FROM: primary',
    'START TIME: 2026-01-02 03:04:05 UTC',
    `LABEL: ${now.label}`,
    'START TIMELINE: 1',
    ...(parent === undefined ? [] : [`INCREMENTAL FROM LSN: ${lsn(parent.number)}`, 'INCREMENTAL FROM TLI: 1']),
  ];
  files.set('backup_label', Buffer.from(`${lines.join('\n')}\n`));
  return files;
}

function manifestOf(files: ReadonlyMap<string, Buffer>, number: number): Buffer {
  const entries = [...files].map(([name, bytes]) => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32c(bytes));
    return `{ "Path": "${name}", "Size": ${bytes.length}, "Last-Modified": "2026-01-02 03:04:05 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "${sum.toString('hex')}" }`;
  });
  const range = `{ "Timeline": 1, "Start-LSN": "${lsn(number)}", "End-LSN": "${lsn(number)}" }`;
  const body = `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${SYSTEM},\n"Files": [\n${entries.join(',\n')}\n],\n"WAL-Ranges": [\n${range}\n],\n`;
  return Buffer.from(`${body}"Manifest-Checksum": "${createHash('sha256').update(body).digest('hex')}"}\n`);
}

async function tarOf(files: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const stream = pack();
  for (const [name, bytes] of files) stream.entry({ name, mode: 0o600 }, bytes);
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Takes a backup of a snapshot as the product does: received, checked, described, durable, published by a rename. */
export async function storeSnapshot(
  paths: ServerPaths,
  now: Snapshot,
  parent: { readonly snapshot: Snapshot; readonly backup: KnownBackup } | undefined,
  form: StoredForm,
): Promise<void> {
  const { compression, encryption, masterSecret } = form;
  const staging = path.join(paths.staging, now.label);
  await makeDirectories(paths.staging);
  const receiver = new BackupReceiver({
    directory: staging,
    codec: codecOf(compression),
    level: 1,
    ...(encryption === 'none' ? {} : { cipher: { mode: encryption, masterSecret } }),
    workers: 1,
    manifestChecksums: 'crc32c',
    ...(parent === undefined ? {} : { link: parent.backup, incremental: { blockSize: BLOCK, relsegSize: 131_072 } }),
  });
  try {
    const files = sent(now, parent?.snapshot);
    receiver.beginArchive(null);
    if (!receiver.push(await tarOf(files))) await receiver.drained();
    receiver.endArchive();
    receiver.pushManifest(manifestOf(files, now.number));
    const received = await receiver.check();
    const about = { label: now.label, majorVersion: 17, startLsn: lsn(now.number), endLsn: lsn(now.number) };
    const header = {
      ...about,
      kind: parent === undefined ? 'full' : 'incremental',
      ...(parent === undefined ? {} : { parent: parent.snapshot.label }),
      systemIdentifier: String(SYSTEM),
      startTimeline: 1,
      endTimeline: 1,
      compression: codecOf(compression),
      compressionLevel: 1,
      encryption,
      manifestChecksums: 'crc32c',
      blockSize: BLOCK,
      relsegSize: 131_072,
      walSegmentSize: 16 << 20,
      dataChecksums: false,
      tablespaces: [],
    };
    const info = {
      ...parseBackupInfo('STATUS=1\n'),
      ...about,
      version: '0.21.0',
      startTimeline: 1,
      endTimeline: 1,
      backupSize: received.backupSize,
      restoreSize: received.restoreSize,
      compression: compressionCode(compression),
      encryption: encryptionCode(encryption),
      incremental: parent !== undefined,
      parent: parent?.snapshot.label ?? '',
    };
    await receiver.finish(JSON.stringify(header), formatBackupInfo(info));
    await renameDurable(staging, path.join(paths.backups, now.label));
  } catch (error) {
    await receiver.abort();
    rmSync(staging, { recursive: true, force: true });
    throw error;
  }
}
