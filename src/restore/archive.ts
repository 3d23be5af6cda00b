import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoredFileReport, StoredFileWriter } from '../native/stored.js';
import { storedSuffix } from '../repository/codes.js';
import { renameDurable } from '../repository/durable.js';
import { tarSize, tarTree } from './tar-tree.js';
import { buildingName } from './target.js';

/** AES-GCM seals at most 2^36 - 32 bytes in one message. */
export const GCM_LIMIT = 2 ** 36 - 32;

/** What data that does not shrink grows by when it is compressed, at most. */
const GROWTH = 1.01;

/** An archive to be written. */
export interface ArchiveOrder {
  /** Everything below becomes the content. */
  readonly tree: string;
  /** Where the file goes. */
  readonly directory: string;
  /** Without suffixes. */
  readonly name: string;
  readonly codec: 'none' | 'gzip' | 'zstd' | 'lz4' | 'bzip2';
  readonly level: number;
  /** Canonical word of the setting, `none` for a plain one. */
  readonly encryption: string;
  readonly masterSecret: Buffer | undefined;
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  /** Told when another cipher than the configured one is used. */
  readonly onOtherCipher: (mode: string) => void;
}

/** The path of an archive: `<name>.tar`, then the suffixes of codec and cipher. */
export function archivePath(directory: string, name: string, codec: string, encryption: string): string {
  return join(directory, `${name}.tar${storedSuffix(codec, encryption)}`);
}

/**
 * The cipher for an archive of so many bytes. A GCM message has a limit; beyond it the counter mode with the same size
 * of key takes its place, authenticated by HMAC in an envelope that tells what it is, so that `decrypt` opens both.
 */
export function archiveCipher(encryption: string, size: number): string {
  if (!encryption.endsWith('-gcm') || size * GROWTH <= GCM_LIMIT) return encryption;
  return encryption.replace(/-gcm$/, '-ctr');
}

/**
 * Writes a tree as one tar, compressed and sealed while it streams; it is read back and durable before it gets its name.
 * @throws PgmonetaError NO_SPACE, IO, CORRUPT; nothing is left then
 */
export async function writeArchive(order: ArchiveOrder): Promise<StoredFileReport & { readonly path: string }> {
  const { tree, signal, codec, level, workers, masterSecret } = order;
  const path = archivePath(order.directory, order.name, codec, order.encryption);
  const total = await tarSize(tree);
  const mode = archiveCipher(order.encryption, total);
  if (mode !== order.encryption) order.onOtherCipher(mode);
  const building = buildingName(path);
  await rm(building, { force: true });
  const cipher = mode === 'none' || masterSecret === undefined ? {} : { cipher: { mode, masterSecret } };
  const writer = new StoredFileWriter({ path: building, codec, level, workers, ...cipher });
  try {
    let done = 0;
    const count = (bytes: number): void => {
      done += bytes;
      order.onProgress(done, Math.max(done, total));
    };
    for await (const chunk of tarTree(tree, signal, count)) await writer.push(chunk);
    signal.throwIfAborted();
    const report = await writer.finish();
    signal.throwIfAborted();
    await renameDurable(building, path);
    return { ...report, path };
  } catch (error) {
    await writer.abort().catch(() => {});
    await rm(building, { force: true });
    throw error;
  }
}
