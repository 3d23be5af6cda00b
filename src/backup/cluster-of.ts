import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { readBackupHeader } from '../native/manifest.js';
import { MANIFEST } from './incremental.js';

/** Where the system identifier stands in a manifest: in its second line. */
const HEAD_BYTES = 512;

/**
 * The system identifier (decimal) of the cluster that a backup is of, from `backup.json`, or for a backup of the C
 * program from PostgreSQL's manifest, which has it from version 17 on; undefined when neither tells.
 */
export async function clusterOf(directory: string): Promise<string | undefined> {
  const header = await readBackupHeader(directory).catch(() => undefined);
  if (header?.systemIdentifier) return header.systemIdentifier;
  const file = await open(join(directory, MANIFEST)).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return /^"System-Identifier": ([0-9]{1,20}),$/m.exec(buffer.toString('latin1', 0, bytesRead))?.[1];
  } finally {
    await file.close();
  }
}
