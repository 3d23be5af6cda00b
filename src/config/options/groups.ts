import type { OptionTable } from '../option.js';
import { BACKUP_OPTIONS } from './backup.js';
import { GENERAL_OPTIONS } from './general.js';
import { LOG_OPTIONS } from './log.js';
import { LISTENER_OPTIONS, SOCKET_OPTIONS, TLS_OPTIONS } from './network.js';
import { SERVER_INHERITED_OPTIONS, SERVER_OWN_OPTIONS, SERVER_S3_OPTIONS } from './server.js';
import { AZURE_OPTIONS, S3_OPTIONS, SSH_OPTIONS } from './storage.js';
import { CLI_OPTIONS, TOOL_SERVER_OPTIONS, WALFILTER_OPTIONS, WALINFO_OPTIONS } from './tools.js';

/** A part of the option table under one heading: of the manual, and of help. */
export interface OptionGroup {
  /** Name of the group in the manual's markers. */
  readonly name: string;
  readonly table: OptionTable;
  /** Whether the keys are read again by a running daemon, so that the effect of a reload is worth telling. */
  readonly reloads: boolean;
}

/** Every key of every file, in the order of the manual. */
export const OPTION_GROUPS: readonly OptionGroup[] = [
  { name: 'general', table: GENERAL_OPTIONS, reloads: true },
  { name: 'backup', table: BACKUP_OPTIONS, reloads: true },
  { name: 'listeners', table: LISTENER_OPTIONS, reloads: true },
  { name: 'tls', table: TLS_OPTIONS, reloads: true },
  { name: 'log', table: LOG_OPTIONS, reloads: true },
  { name: 'sockets', table: SOCKET_OPTIONS, reloads: true },
  { name: 'storage', table: SSH_OPTIONS, reloads: true },
  { name: 's3', table: S3_OPTIONS, reloads: true },
  { name: 'azure', table: AZURE_OPTIONS, reloads: true },
  { name: 'server', table: SERVER_OWN_OPTIONS, reloads: true },
  { name: 'server-inherited', table: SERVER_INHERITED_OPTIONS, reloads: true },
  { name: 'server-s3', table: SERVER_S3_OPTIONS, reloads: true },
  { name: 'cli', table: CLI_OPTIONS, reloads: false },
  { name: 'walinfo', table: WALINFO_OPTIONS, reloads: false },
  { name: 'walfilter', table: WALFILTER_OPTIONS, reloads: false },
  { name: 'tool-server', table: TOOL_SERVER_OPTIONS, reloads: false },
];
