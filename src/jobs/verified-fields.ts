import type { Verifications } from '../repository/verifications.js';
import type { JsonObject } from './messages.js';
import { targetTime } from './wal-view.js';

/** Keys that say when a backup was last verified and what came of it; none for one that never was. */
export function verifiedFields(verifications: Verifications, label: string): JsonObject {
  const last = verifications.get(label);
  if (last === undefined) return {};
  return { Verified: last.result, VerifiedAt: targetTime(last.at) };
}
