import type { OptionTable } from '../option.js';
import { BACKUP_OPTIONS } from './backup.js';
import { GENERAL_OPTIONS } from './general.js';
import { LOG_OPTIONS } from './log.js';
import { LISTENER_OPTIONS, SOCKET_OPTIONS, TLS_OPTIONS } from './network.js';
import { SERVER_INHERITED_OPTIONS, SERVER_OWN_OPTIONS, SERVER_S3_OPTIONS } from './server.js';
import { AZURE_OPTIONS, S3_OPTIONS, SSH_OPTIONS } from './storage.js';
import { CLI_OPTIONS, TOOL_SERVER_OPTIONS, WALFILTER_OPTIONS, WALINFO_OPTIONS } from './tools.js';
import { MAIN_WITHOUT_EFFECT, SERVER_WITHOUT_EFFECT } from './without-effect.js';

/** A part of the option table under one heading: of the manual, and of help. */
export interface OptionGroup {
  /** Name of the group in the manual's markers. */
  readonly name: string;
  readonly table: OptionTable;
  /** Whether the keys are read again by a running daemon, so that the effect of a reload is worth telling. */
  readonly reloads: boolean;
  /** Keys of the section that this version does not act upon. */
  readonly withoutEffect?: ReadonlySet<string>;
}

/** Every key of every file, in the order of the manual. */
export const OPTION_GROUPS: readonly OptionGroup[] = [
  { name: 'general', withoutEffect: MAIN_WITHOUT_EFFECT, table: GENERAL_OPTIONS, reloads: true },
  { name: 'backup', withoutEffect: MAIN_WITHOUT_EFFECT, table: BACKUP_OPTIONS, reloads: true },
  { name: 'listeners', withoutEffect: MAIN_WITHOUT_EFFECT, table: LISTENER_OPTIONS, reloads: true },
  { name: 'tls', withoutEffect: MAIN_WITHOUT_EFFECT, table: TLS_OPTIONS, reloads: true },
  { name: 'log', withoutEffect: MAIN_WITHOUT_EFFECT, table: LOG_OPTIONS, reloads: true },
  { name: 'sockets', withoutEffect: MAIN_WITHOUT_EFFECT, table: SOCKET_OPTIONS, reloads: true },
  { name: 'storage', withoutEffect: MAIN_WITHOUT_EFFECT, table: SSH_OPTIONS, reloads: true },
  { name: 's3', withoutEffect: MAIN_WITHOUT_EFFECT, table: S3_OPTIONS, reloads: true },
  { name: 'azure', withoutEffect: MAIN_WITHOUT_EFFECT, table: AZURE_OPTIONS, reloads: true },
  { name: 'server', withoutEffect: SERVER_WITHOUT_EFFECT, table: SERVER_OWN_OPTIONS, reloads: true },
  { name: 'server-inherited', withoutEffect: SERVER_WITHOUT_EFFECT, table: SERVER_INHERITED_OPTIONS, reloads: true },
  { name: 'server-s3', withoutEffect: SERVER_WITHOUT_EFFECT, table: SERVER_S3_OPTIONS, reloads: true },
  { name: 'cli', table: CLI_OPTIONS, reloads: false },
  { name: 'walinfo', table: WALINFO_OPTIONS, reloads: false },
  { name: 'walfilter', table: WALFILTER_OPTIONS, reloads: false },
  { name: 'tool-server', table: TOOL_SERVER_OPTIONS, reloads: false },
];
