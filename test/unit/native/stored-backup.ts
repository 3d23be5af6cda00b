import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const sha = (algorithm: string, bytes: Buffer | string): string => createHash(algorithm).update(bytes).digest('hex');

/** CRC-32C (Castagnoli), bit by bit. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** A control file with believable values: of PostgreSQL 16, or with 1700 of PostgreSQL 17. */
export function controlFile(systemIdentifier: bigint, version = 1300): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(systemIdentifier, 0);
  const fields: [number, number][] = [
    [8, version],
    [12, 202307071],
    [48, 1],
    [216, 8192],
    [220, 131072],
    [224, 8192],
    [228, 16 << 20],
  ];
  for (const [at, value] of fields) bytes.writeUInt32LE(value, at);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return bytes;
}

/** An uncompressed backup with one tablespace, as pgmoneta in C lays it out, in a directory of its own. */
export function storedBackup(): { root: string; directory: string; files: Map<string, Buffer>; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'stored-backup-'));
  const directory = join(root, 'backup', '20260102030405');
  const files = new Map<string, Buffer>([
    ['PG_VERSION', Buffer.from('16\n')],
    ['global/pg_control', controlFile(7710222501349654523n)],
    ['base/1/1259', Buffer.alloc(3 << 20, 'page')],
    ['pg_tblspc/16384/PG_16_202307071/5/16400', Buffer.alloc(8192, 1)],
  ]);
  const stored = new Map<string, Buffer>();
  const entries: string[] = [];
  for (const [path, bytes] of files) {
    stored.set(path.replace(/^pg_tblspc\/16384\//, '../tblspc_fast/'), bytes);
    entries.push(
      `{ "Path": "${path}", "Size": ${bytes.length}, "Last-Modified": "2026-01-02 03:04:05 GMT", "Checksum-Algorithm": "SHA512", "Checksum": "${sha('sha512', bytes)}" }`,
    );
  }
  const wal = Buffer.alloc(1 << 20, 'w');
  files.set('pg_wal/000000010000000000000002', wal);
  stored.set('pg_wal/000000010000000000000002', wal);
  const range = '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }';
  const head = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${entries.join(',\n')}\n],\n"WAL-Ranges": [\n${range}\n],\n`;
  stored.set('backup_manifest', Buffer.from(`${head}"Manifest-Checksum": "${sha('sha256', head)}"}\n`));
  const info = 'LABEL=20260102030405\nTABLESPACES=1\nTABLESPACE1=tblspc_fast\nTABLESPACE_OID1=16384\n';
  stored.set('../backup.info', Buffer.from(info));
  const sums: string[] = [];
  for (const [path, bytes] of stored) {
    const place = join(directory, 'data', path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
    sums.push(`${sha('sha512', bytes)} *./${join('data', path)}\n`);
  }
  writeFileSync(join(directory, 'backup.sha512'), sums.join(''));
  mkdirSync(join(directory, 'data', 'pg_tblspc'), { recursive: true });
  symlinkSync(join(directory, 'tblspc_fast'), join(directory, 'data', 'pg_tblspc', '16384'));
  return { root, directory, files, remove: () => rmSync(root, { recursive: true, force: true }) };
}
