const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A size as the programs print it: two decimals, powers of 1024, no blank (`6.54MB`). */
export function formatSize(bytes: number | bigint): string {
  if (bytes < 0) return `-${formatSize(-bytes)}`;
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)}${UNITS[unit]}`;
}
