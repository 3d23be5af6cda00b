import { readTextFile } from '../config/files/read.js';
import { parseVaultLines, type VaultLine } from '../config/text/vault-lines.js';
import { PgmonetaError } from '../errors/index.js';
import { decodeBase64 } from './base64.js';
import type { MasterKey } from './master-key.js';
import { deriveMasterSecretAsync } from './master-secret.js';
import { openSmall } from './sealed.js';

function invalid(path: string, line: number, why: string, hint: string): PgmonetaError {
  return new PgmonetaError('VAULT_INVALID', `${path}:${line}: ${why}`, { hint, context: { path, line } });
}

/** The entries of the text of a users or admins file. @throws PgmonetaError VAULT_INVALID */
export function readVaultText(path: string, text: string): VaultLine[] {
  const { entries, problems } = parseVaultLines(text);
  const [problem] = problems;
  if (problem !== undefined) {
    throw invalid(path, problem.line, problem.message, `remove the line, then: pgmoneta-admin -f ${path} user add`);
  }
  return entries;
}

/** Opens one entry. @throws PgmonetaError VAULT_INVALID, never with any part of the password */
export function openEntry(path: string, entry: VaultLine, masterSecret: Buffer): string {
  const again = `set the password again with: pgmoneta-admin -f ${path} -U ${entry.user} user edit`;
  const sealed = decodeBase64(entry.sealed);
  if (sealed === null) throw invalid(path, entry.line, `the password of ${entry.user} is not base64`, again);
  const plain = openSmall(masterSecret, sealed);
  if (plain === null) {
    throw invalid(
      path,
      entry.line,
      `the password of ${entry.user} cannot be opened with this master key`,
      `use the master.key that the file was written with, or ${again}`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch {
    throw invalid(path, entry.line, `the password of ${entry.user} is not UTF-8`, again);
  } finally {
    plain.fill(0);
  }
}

/**
 * Reads a users or admins file: passwords by user name, the first of a name wins.
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND when it cannot be read, VAULT_INVALID when an entry cannot be opened
 */
export async function readVault(path: string, key: MasterKey): Promise<Map<string, string>> {
  const { text } = readTextFile(path, 'the users file', `create it with: pgmoneta-admin -f ${path} user add`);
  const entries = readVaultText(path, text);
  const vault = new Map<string, string>();
  if (entries.length === 0) return vault;
  const secret = await deriveMasterSecretAsync(key);
  for (const entry of entries) {
    const password = openEntry(path, entry, secret);
    if (!vault.has(entry.user)) vault.set(entry.user, password);
  }
  return vault;
}
