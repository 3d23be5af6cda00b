/**
 * Keys that this version reads, checks and shows, and does not act upon. Setting one is warned of at the start, and
 * the manual says it: nobody should rely on what is not there. A key leaves this list together with the part of the
 * product that acts upon it; a test compares the list with the sources.
 */
export const MAIN_WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'blocking_timeout',
  'console',
  'direct_io',
  'link',
  'management',
  'management_tls',
  'metrics',
  'metrics_ca_file',
  'metrics_cache_max_age',
  'metrics_cache_max_size',
  'metrics_cert_file',
  'metrics_key_file',
  'nagios',
  'tls',
  'tls_ca_file',
  'tls_cert_file',
  'tls_key_file',
  'update_process_title',
]);

/** The same for keys of servers. */
export const SERVER_WITHOUT_EFFECT: ReadonlySet<string> = new Set([]);

/** Storage engines that this version has; another one is refused, so that nobody waits for copies that never come. */
export const STORAGE_ENGINES: ReadonlySet<string> = new Set(['local']);
