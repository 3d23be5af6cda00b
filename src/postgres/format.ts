const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes for a person, in the units of PostgreSQL (1024): `32 kB`, `1.5 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`;
}
