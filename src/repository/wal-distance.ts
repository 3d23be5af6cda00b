/** The number of an LSN in PostgreSQL's text form; 0 for a text that is none. */
function lsnNumber(text: string): bigint {
  const found = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (found === null) return 0n;
  return (BigInt(`0x${found[1]}`) << 32n) | BigInt(`0x${found[2]}`);
}

/** Bytes of WAL from one LSN to a later one; 0 when the second is not later. */
export function walBytesBetween(from: string, to: string): number {
  const distance = lsnNumber(to) - lsnNumber(from);
  return distance > 0n ? Number(distance) : 0;
}

/** High and low half of an LSN as numbers, as `info` shows them. */
export function lsnHalves(text: string): { hi: number; lo: number } {
  const value = lsnNumber(text);
  return { hi: Number(value >> 32n), lo: Number(value & 0xffff_ffffn) };
}
