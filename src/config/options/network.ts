import { option, optional } from '../option.js';
import { boolean } from '../values/boolean.js';
import { integer, port } from '../values/number.js';
import { path, plainPath } from '../values/text.js';
import { duration, size } from '../values/units.js';
import { libevWords, managementTlsWords } from './words.js';

/** Ports that the daemon listens on. */
export const LISTENER_OPTIONS = {
  metrics: option(port, 0, { reload: 'rebind', help: 'Port of the Prometheus metrics; 0 is off.' }),
  metrics_cache_max_age: option(duration, 0, { reload: 'hot', help: 'How long a metrics page is kept; 0 is off.' }),
  metrics_cache_max_size: option(size, 0, {
    reload: 'restart',
    help: 'Largest metrics page that is kept; 0 is 256k. At most 1M is used.',
  }),
  metrics_cert_file: optional(plainPath, { reload: 'restart', help: 'Certificate of the metrics port; turns TLS on.' }),
  metrics_key_file: optional(plainPath, { reload: 'restart', help: 'Private key of that certificate.' }),
  metrics_ca_file: optional(plainPath, {
    reload: 'restart',
    help: 'Authority that client certificates must come from.',
  }),
  nagios: option(port, 0, {
    reload: 'rebind',
    since: '0.22 of the C program',
    help: 'Port of the Nagios endpoint; 0 is off.',
  }),
  management: option(port, 0, { reload: 'rebind', help: 'Port of remote management; 0 is off.' }),
  management_tls: option(managementTlsWords, 'auto', {
    reload: 'restart',
    since: 'here',
    help: 'TLS on the management port; auto requires it when `tls` is on, and refuses nothing otherwise.',
  }),
  console: option(port, 0, { reload: 'rebind', help: 'Port of the web console; 0 is off.' }),
};

/** TLS of the management port. */
export const TLS_OPTIONS = {
  tls: option(boolean, false, { reload: 'restart', help: 'TLS on the management port.' }),
  tls_cert_file: optional(path, { reload: 'restart', help: 'Certificate of the management port.' }),
  tls_key_file: optional(path, { reload: 'restart', help: 'Private key of that certificate.' }),
  tls_ca_file: optional(path, { reload: 'restart', help: 'Authority that client certificates must come from.' }),
};

/** Sockets. */
export const SOCKET_OPTIONS = {
  keep_alive: option(boolean, true, { reload: 'hot', help: 'TCP keep-alive on new connections.' }),
  nodelay: option(boolean, true, { reload: 'hot', help: 'TCP_NODELAY on new connections.' }),
  non_blocking: option(boolean, true, {
    reload: 'hot',
    inert: true,
    help: 'Accepted for existing files; sockets never block here.',
  }),
  backlog: option(integer(0, 65535), 16, {
    reload: 'hot',
    help: 'Connections that may wait on a listener; less than 16 is taken as 16.',
  }),
  libev: option(libevWords, 'auto', {
    reload: 'restart',
    inert: true,
    help: 'Accepted for existing files; there is one event loop here.',
  }),
};
