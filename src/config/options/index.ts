import type { Option, OptionTable, SettingsOf } from '../option.js';
import { BACKUP_OPTIONS } from './backup.js';
import { GENERAL_OPTIONS } from './general.js';
import { LOG_OPTIONS } from './log.js';
import { LISTENER_OPTIONS, SOCKET_OPTIONS, TLS_OPTIONS } from './network.js';
import { SERVER_INHERITED_OPTIONS, SERVER_OWN_OPTIONS, SERVER_S3_OPTIONS } from './server.js';
import { AZURE_OPTIONS, S3_OPTIONS, SSH_OPTIONS } from './storage.js';

/** Every key of the section `[pgmoneta]`. */
export const MAIN_OPTIONS = {
  ...GENERAL_OPTIONS,
  ...BACKUP_OPTIONS,
  ...LISTENER_OPTIONS,
  ...TLS_OPTIONS,
  ...LOG_OPTIONS,
  ...SOCKET_OPTIONS,
  ...SSH_OPTIONS,
  ...S3_OPTIONS,
  ...AZURE_OPTIONS,
};

/** Every key of a server section. */
export const SERVER_OPTIONS = { ...SERVER_OWN_OPTIONS, ...SERVER_INHERITED_OPTIONS, ...SERVER_S3_OPTIONS };

/** Settings of `[pgmoneta]`: durations in seconds, sizes and rates in bytes, unset texts `null`. */
export type MainSettings = SettingsOf<typeof MAIN_OPTIONS>;

/** Settings of a server section as they stand there: `null` for what is inherited. */
export type ServerSettings = SettingsOf<typeof SERVER_OPTIONS> & {
  /** Name of the section, and of the server's folder in the repository. */
  readonly name: string;
};

/** Keys of earlier versions, with what to do instead. */
export const OBSOLETE_KEYS: Readonly<Record<string, string>> = {
  backup_max_rate: 'the key is gone since 0.21; use max_rate',
  network_max_rate: 'the key is gone since 0.21; use max_rate',
};

/** The row of a key, if the table has it. */
export function findOption(table: OptionTable, key: string): Option<unknown> | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
