import type { VerifyFinding } from '../native/verify.js';
import { BACKUP_FILES } from '../repository/paths.js';
import type { VerificationResult } from '../repository/verifications.js';

/** What findings mean for a backup. */
export interface Verdict {
  readonly result: VerificationResult;
  /** A sentence about what matters most; empty when all is well. */
  readonly message: string;
  /** Whether the files alone are damaged, and not what says how they have to be. */
  readonly healable: boolean;
}

/**
 * Judges a backup by what a verification found. Damaged is what is missing, or is not what was written. What could not
 * be read or unpacked may be the fault of the disk, of permissions or of another master key, and condemns nothing. A
 * file that belongs to no list, and pages that the server itself had sent damaged, do not concern the backup.
 */
export function judge(findings: readonly VerifyFinding[]): Verdict {
  const concerning = findings.filter(({ reason, algorithm }) => reason !== 'surplus' && algorithm !== 'page');
  const damage = concerning.filter(({ reason }) => reason !== 'unreadable');
  const [first = concerning[0]] = damage;
  if (first === undefined) return { result: 'good', message: '', healable: true };
  const lists: readonly string[] = Object.values(BACKUP_FILES);
  return {
    result: damage.length > 0 ? 'damaged' : 'unreadable',
    message: first.message === '' ? `${first.path}: ${first.reason}` : first.message,
    healable: !damage.some(({ path }) => lists.includes(path)),
  };
}
