import { words } from '../values/words.js';

const CLIENT = 0x10;
const SERVER = 0x20;

/** Codec and the side that compresses. Codes and shown texts are those of `conf get`. */
export const compressionWords = words('compression', {
  none: { code: 0 },
  'client-gzip': { aliases: ['gzip'], code: CLIENT | 1, shown: 'gzip' },
  'client-zstd': { aliases: ['zstd'], code: CLIENT | 2, shown: 'zstd' },
  'client-lz4': { aliases: ['lz4'], code: CLIENT | 3, shown: 'lz4' },
  'client-bzip2': { aliases: ['bzip2', 'bz2', 'client-bz2'], code: CLIENT | 4, shown: 'bzip2' },
  'server-gzip': { code: SERVER | 1, shown: 'gzip' },
  'server-zstd': { code: SERVER | 2, shown: 'zstd' },
  'server-lz4': { code: SERVER | 3, shown: 'lz4' },
});

/** Cipher of backups and WAL; the codes are those of `backup.info`. */
export const encryptionWords = words('encryption', {
  none: { code: 0 },
  'aes-256-gcm': { aliases: ['aes', 'aes-256'], code: 1 },
  'aes-192-gcm': { aliases: ['aes-192'], code: 2 },
  'aes-128-gcm': { aliases: ['aes-128'], code: 3 },
  'aes-256-cbc': { code: 17 },
  'aes-192-cbc': { code: 18 },
  'aes-128-cbc': { code: 19 },
  'aes-256-ctr': { code: 33 },
  'aes-192-ctr': { code: 34 },
  'aes-128-ctr': { code: 35 },
});

/** Checksum that PostgreSQL writes into the manifest of a backup. */
export const manifestWords = words('checksum', {
  crc32c: {},
  sha512: {},
  sha384: {},
  sha256: {},
  sha224: {},
  none: {},
});

/** TLS towards PostgreSQL, in the words of its own clients. */
export const sslModeWords = words('sslmode', {
  disable: {},
  allow: {},
  prefer: {},
  require: {},
  'verify-ca': {},
  'verify-full': {},
});

/** Binding of SCRAM to the TLS channel. */
export const channelBindingWords = words('channel binding', { disable: {}, prefer: {}, require: {} });

/** TLS on the management port. */
export const managementTlsWords = words('management tls', { auto: {}, disable: {}, allow: {}, require: {} });

/** Where the log goes. */
export const logTypeWords = words('log type', { console: { code: 0 }, file: { code: 1 }, syslog: { code: 2 } });

/** How much is logged; the codes are those of the C program. */
export const logLevelWords = words('log level', {
  fatal: { code: 6 },
  error: { code: 5 },
  warn: { code: 4, aliases: ['warning'] },
  info: { code: 3 },
  debug: { code: 2, aliases: ['debug1'] },
  debug5: { code: 1, aliases: ['debug2', 'debug3', 'debug4'], shown: 'debug' },
});

/** What happens to an existing log file. */
export const logModeWords = words('log mode', {
  append: { aliases: ['a'], code: 1 },
  create: { aliases: ['c'], code: 0 },
});

/** Use of huge pages. */
export const hugePageWords = words('huge page', { off: { code: 0 }, try: { code: 1 }, on: { code: 2 } });

/** Use of O_DIRECT. */
export const directIoWords = words('direct io', {
  off: { code: 0 },
  auto: { code: 1, aliases: ['try'] },
  on: { code: 2 },
});

/** What the process title says. */
export const processTitleWords = words('process title', {
  never: { code: 0, aliases: ['off'] },
  strict: { code: 1 },
  minimal: { code: 2 },
  verbose: { code: 3, aliases: ['full'] },
});

/** Event loop of the C program. */
export const libevWords = words('event loop', {
  auto: { aliases: ['linuxaio'] },
  select: {},
  poll: {},
  epoll: {},
  iouring: {},
  devpoll: {},
  port: {},
});
