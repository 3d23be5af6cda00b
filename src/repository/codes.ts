/**
 * The numbers that `backup.info` and the management protocol use for codecs and ciphers
 * (pgmoneta 0.21; numbers up to 7 are those of 0.20 and older).
 */

/** Codec of stored files. */
export type CodecName = 'none' | 'gzip' | 'zstd' | 'lz4' | 'bzip2';

const ALGORITHMS: readonly CodecName[] = ['none', 'gzip', 'zstd', 'lz4', 'bzip2'];
const CLIENT = 0x10;
const SERVER = 0x20;

/** The codec part of a `compression` setting such as `server-zstd`. */
export function codecOf(setting: string): CodecName {
  const name = setting.replace(/^(client|server)-/, '');
  return ALGORITHMS.find((algorithm) => algorithm === name) ?? 'none';
}

const SUFFIXES: Readonly<Record<CodecName, string>> = {
  none: '',
  gzip: '.gz',
  zstd: '.zstd',
  lz4: '.lz4',
  bzip2: '.bz2',
};

/** What a stored file has at the end of its name, by the settings `compression` and `encryption`: `.zstd.aes`. */
export function storedSuffix(compression: string, encryption: string): string {
  return `${SUFFIXES[codecOf(compression)]}${encryption === 'none' ? '' : '.aes'}`;
}

/** The number of a `compression` setting. */
export function compressionCode(setting: string): number {
  const algorithm = ALGORITHMS.indexOf(codecOf(setting));
  if (algorithm <= 0) return 0;
  return (setting.startsWith('server-') ? SERVER : CLIENT) | algorithm;
}

/** The codec that a number means, old numbers included; undefined for a number nobody has written. */
export function codecOfCode(code: number): CodecName | undefined {
  if (code >= 5 && code <= 7) return ALGORITHMS[code - 4];
  return ALGORITHMS[code & 0x0f];
}

const CIPHERS: ReadonlyMap<number, string> = new Map([
  [0, 'none'],
  [1, 'aes-256-gcm'],
  [2, 'aes-192-gcm'],
  [3, 'aes-128-gcm'],
  [17, 'aes-256-cbc'],
  [18, 'aes-192-cbc'],
  [19, 'aes-128-cbc'],
  [33, 'aes-256-ctr'],
  [34, 'aes-192-ctr'],
  [35, 'aes-128-ctr'],
]);

/** The number of an `encryption` setting. */
export function encryptionCode(setting: string): number {
  for (const [code, name] of CIPHERS) if (name === setting) return code;
  return 0;
}

/** The cipher that a number means in repositories of 0.21 and newer; undefined when unknown. */
export function cipherOfCode(code: number): string | undefined {
  return CIPHERS.get(code);
}
