import { option, optional, type SettingsOf } from '../option.js';
import { integer, port } from '../values/number.js';
import { path, text } from '../values/text.js';
import { words } from '../values/words.js';
import { LOG_OPTIONS } from './log.js';
import { encryptionWords } from './words.js';

/** Codec of the management link. */
export const wireCompressionWords = words('compression', {
  none: {},
  gzip: { aliases: ['gz'] },
  zstd: {},
  lz4: {},
  bzip2: { aliases: ['bz2'] },
});

/** Cipher of the management link. */
export const wireEncryptionWords = words('encryption', {
  none: {},
  'aes-256-gcm': { aliases: ['aes', 'aes256', 'aes-256', 'aes-gcm', 'aes256-gcm'] },
  'aes-192-gcm': { aliases: ['aes192', 'aes-192', 'aes192-gcm'] },
  'aes-128-gcm': { aliases: ['aes128', 'aes-128', 'aes128-gcm'] },
});

/** Form of the answers of pgmoneta-cli. */
export const outputWords = words('output', { text: {}, json: {}, raw: {} });

/** Every key of `pgmoneta_cli.conf`; its sections do not matter. */
export const CLI_OPTIONS = {
  host: optional(text({ maxBytes: 255, name: 'host', allowed: 'a host name or address' }), {
    reload: 'hot',
    help: 'Host of the management port; used together with port.',
  }),
  port: option(port, 0, { reload: 'hot', help: 'Management port; 0 is the Unix socket.' }),
  unix_socket_dir: optional(path, { reload: 'hot', help: 'Directory of the management socket.' }),
  compression: option(wireCompressionWords, 'none', { reload: 'hot', help: 'Codec of the management link.' }),
  encryption: option(wireEncryptionWords, 'none', {
    reload: 'hot',
    strict: true,
    help: 'Cipher of the management link; both sides need the same master.key.',
  }),
  output: option(outputWords, 'text', { reload: 'hot', help: 'Form of the answers, unless -F says another.' }),
  ...LOG_OPTIONS,
};

/** Settings of pgmoneta-cli. */
export type CliSettings = SettingsOf<typeof CLI_OPTIONS>;

const TOOL_OPTIONS = {
  log_type: LOG_OPTIONS.log_type,
  log_level: LOG_OPTIONS.log_level,
  log_path: optional(path, { reload: 'hot', help: 'Log file; a strftime pattern.' }),
};

/** Keys of `[pgmoneta-walinfo]`. */
export const WALINFO_OPTIONS = {
  ...TOOL_OPTIONS,
  encryption: option(encryptionWords, 'aes-256-gcm', {
    reload: 'hot',
    strict: true,
    help: 'Cipher of the WAL that is read, where the WAL itself does not tell.',
  }),
};

/** Keys of `[pgmoneta-walfilter]`. */
export const WALFILTER_OPTIONS = {
  ...TOOL_OPTIONS,
  encryption: option(encryptionWords, 'none', {
    reload: 'hot',
    strict: true,
    help: 'Cipher of the WAL that is read, where the WAL itself does not tell.',
  }),
};

/** Keys of the one server section that walinfo and walfilter may have, to turn numbers into names. */
export const TOOL_SERVER_OPTIONS = {
  host: optional(text({ maxBytes: 1024, name: 'host', allowed: 'a host name, an address, or a socket directory' }), {
    reload: 'hot',
    help: 'Host of PostgreSQL.',
  }),
  port: option(integer(1, 65535, 'port'), 5432, { reload: 'hot', help: 'Port of PostgreSQL.' }),
  user: optional(text({ maxBytes: 127, name: 'user', allowed: 'a user of the users file' }), {
    reload: 'hot',
    help: 'User with a password in the users file.',
  }),
};

/** Settings of walinfo and walfilter. */
export type ToolSettings = SettingsOf<typeof WALINFO_OPTIONS>;
/** Their server. */
export type ToolServerSettings = SettingsOf<typeof TOOL_SERVER_OPTIONS> & { readonly name: string };
