import { option, optional } from '../option.js';
import { yesNo } from '../values/boolean.js';
import { integer } from '../values/number.js';
import { retention } from '../values/retention.js';
import { duration } from '../values/units.js';
import { compressionWords, encryptionWords, manifestWords } from './words.js';

/** How backups and WAL are made and how long they stay. */
export const BACKUP_OPTIONS = {
  compression: option(compressionWords, 'client-zstd', {
    reload: 'hot',
    help: 'Codec of backups and WAL; server-* lets PostgreSQL 15 and later compress.',
  }),
  compression_level: option(integer(-131072, 22), 3, {
    reload: 'hot',
    help: 'Level of the codec: gzip and bzip2 1 to 9, lz4 1 to 12, zstd -131072 to 22; others are moved to the nearest.',
  }),
  encryption: option(encryptionWords, 'none', {
    reload: 'hot',
    strict: true,
    help: 'Cipher of backups and WAL; aes, aes-256, aes-192 and aes-128 mean GCM.',
  }),
  manifest_checksums: option(manifestWords, 'crc32c', {
    reload: 'hot',
    since: 'here',
    help: 'Checksums in the manifest that PostgreSQL sends.',
  }),
  create_slot: optional(yesNo, {
    reload: 'hot',
    unset: { value: 0, string_value: 'undefined' },
    help: 'Create the replication slots of the servers when they do not exist.',
  }),
  wal_receiver_timeout: option(duration, 60, {
    reload: 'hot',
    since: 'here',
    help: 'A server that sends nothing for so long, though it was asked to, is taken to be gone; 0 waits for ever.',
  }),
  wal_receiver_status_interval: option(duration, 10, {
    reload: 'hot',
    since: 'here',
    help: 'Longest time between two reports of the durable position; what has become durable is reported at once.',
  }),
  retention: option(
    retention,
    { days: 7, weeks: null, months: null, years: null },
    {
      reload: 'hot',
      help: 'How long backups are kept: days[,weeks[,months[,years]]]; all of so many days, the newest of each week, month and year.',
    },
  ),
  retention_interval: option(integer(1, 2_147_483), 300, {
    reload: 'restart',
    help: 'Seconds between two looks at what has expired.',
  }),
  verification: option(duration, 0, {
    reload: 'restart',
    help: 'Time between two verifications of each backup by the daemon itself; 0 is off.',
  }),
};
