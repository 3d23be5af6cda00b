import { WIRE_COMPRESSIONS, WIRE_ENCRYPTIONS } from '../../../management/codes.js';
import { COMMANDS, type CommandName, commandOf } from '../../../management/commands.js';
import { numberOf, OUTPUTS } from '../../../management/documents.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../../../management/json/index.js';
import { backupCompression, backupEncryption } from './backup-codes.js';
import { formatSize } from './size.js';

type Mutable = Record<string, JsonValue>;

/** Keys of the header that are no business of the reader: our own extension of the protocol. */
const INTERNAL_HEADER = ['Protocol', 'Progress'];
const ARCHIVE_SIZES = ['ArchiveSize'];
const BACKUP_SIZES = ['BackupSize', 'RestoreSize', 'BiggestFileSize', 'WAL', 'Delta'];
const LSN_PARTS = ['StartHiLSN', 'StartLoLSN', 'EndHiLSN', 'EndLoLSN', 'CheckpointHiLSN', 'CheckpointLoLSN'];
const SPACES = ['TotalSpace', 'FreeSpace', 'UsedSpace'];
const SERVER_SIZES = ['WorkspaceFreeSpace', 'HotStandbySize', 'ServerSize', 'WalSize'];
const HOT_STANDBY_SIZES = ['HotStandbySize', 'KeptSize'];
const FILE_SYSTEM_SIZES = ['Needed', 'Free'];
const REUSE_SIZES = ['Copied', 'Kept', 'New', 'Removed', 'Rewritten'];
const RETENTIONS = ['RetentionDays', 'RetentionWeeks', 'RetentionMonths', 'RetentionYears'];
const CONF_WORDS = [
  'compression',
  'encryption',
  'storage_engine',
  'create_slot',
  'hugepage',
  'log_type',
  'log_level',
  'log_mode',
];

/** The commands whose `Response` itself describes a backup. */
const BACKUP_COMMANDS: ReadonlySet<CommandName> = new Set([
  'backup',
  'restore',
  'archive',
  'retain',
  'expunge',
  'info',
  'annotate',
]);

/** Turns the numbers of a reply into what a person reads: for the formats text and json. */
export function translate(document: JsonObject): JsonObject {
  const header = isJsonObject(document.Header) ? document.Header : {};
  const request = isJsonObject(document.Request) ? document.Request : {};
  const name = commandOf(numberOf(header.Command) ?? 0, request);
  const result: Mutable = { ...document };
  if (isJsonObject(document.Header)) result.Header = translateHeader(header, name);
  const ok = isJsonObject(document.Outcome) && document.Outcome.Status === true;
  if (ok && name !== undefined && isJsonObject(document.Response)) {
    result.Response = translateResponse(name, document.Response);
  }
  return result;
}

function translateHeader(header: JsonObject, name: CommandName | undefined): JsonObject {
  const result: Mutable = { ...header };
  for (const key of INTERNAL_HEADER) delete result[key];
  if (name !== undefined) result.Command = COMMANDS[name].shown ?? name;
  replace(result, 'Output', (code) => OUTPUTS[code]);
  replace(result, 'Compression', (code) => WIRE_COMPRESSIONS[code]);
  replace(result, 'Encryption', (code) => WIRE_ENCRYPTIONS[code]);
  return result;
}

function translateResponse(name: CommandName, response: JsonObject): JsonObject {
  if (name === 'restore') return translateRestore(response);
  if (name === 'backup') return mapArray(translateBackup(response), 'HotStandby', translateHotStandby);
  if (BACKUP_COMMANDS.has(name)) return translateBackup(response);
  switch (name) {
    case 'list-backup':
      return mapArray(response, 'Backups', translateBackup);
    case 'status':
    case 'status details':
      return mapArray(translateSpaces(response), 'Servers', translateServer);
    case 'delete':
      return mapArray(translateFreed(response), 'RolledUp', translateFreed);
    case 'verify':
      return translateVerified(response);
    case 'expire':
      return mapArray(response, 'Servers', (server) => mapArray(translateFreed(server), 'Backups', translateExpiry));
    case 'conf get':
      return translateConfiguration(response);
    default:
      return response;
  }
}

function translateBackup(backup: JsonObject): JsonObject {
  const result: Mutable = { ...backup };
  for (const key of BACKUP_SIZES) {
    // In info and annotate WAL is the name of a file.
    if (typeof result[key] === 'string') continue;
    result[key] = formatSize(numberOf(result[key]) ?? 0);
  }
  result.Compression = backupCompression(numberOf(result.Compression) ?? 0);
  result.Encryption = backupEncryption(numberOf(result.Encryption) ?? 0);
  replace(result, 'Valid', validWord);
  for (const key of ARCHIVE_SIZES) replace(result, key, formatSize);
  for (const key of LSN_PARTS) replace(result, key, (part) => part.toString(16).toUpperCase());
  return result;
}

function validWord(code: number): string {
  return code === 1 ? 'yes' : code === 0 ? 'no' : 'unknown';
}

function translateSpaces(response: JsonObject): JsonObject {
  const result: Mutable = { ...response };
  for (const key of SPACES) result[key] = formatSize(numberOf(result[key]) ?? 0);
  return result;
}

function translateFreed(response: JsonObject): JsonObject {
  const result: Mutable = { ...response };
  for (const key of ['BackupSize', 'Freed', 'RollUpSize', 'WalFreed']) replace(result, key, formatSize);
  return result;
}

function translateVerified(response: JsonObject): JsonObject {
  const result: Mutable = { ...response };
  replace(result, 'Valid', validWord);
  return result;
}

/** What `expire` does with a backup. */
function translateExpiry(backup: JsonObject): JsonObject {
  const result: Mutable = { ...backup };
  for (const key of ['BackupSize', 'Freed']) replace(result, key, formatSize);
  replace(result, 'Valid', validWord);
  return result;
}

function translateRestore(response: JsonObject): JsonObject {
  const result: Mutable = { ...mapArray(translateBackup(response), 'FileSystems', translateFileSystem) };
  for (const key of REUSE_SIZES) replace(result, key, formatSize);
  return result;
}

/** Of `backup` and of `status details`. */
function translateHotStandby(standby: JsonObject): JsonObject {
  const result: Mutable = { ...standby };
  for (const key of HOT_STANDBY_SIZES) replace(result, key, formatSize);
  return result;
}

/** Of `restore --dry-run`. */
function translateFileSystem(fileSystem: JsonObject): JsonObject {
  const result: Mutable = { ...fileSystem };
  for (const key of FILE_SYSTEM_SIZES) replace(result, key, formatSize);
  return result;
}

function translateServer(server: JsonObject): JsonObject {
  const result: Mutable = { ...server };
  for (const key of SERVER_SIZES) replace(result, key, formatSize);
  for (const key of RETENTIONS) replace(result, key, (days) => (days < 0 ? 'Unspecified' : undefined));
  return mapArray(mapArray(result, 'Backups', translateBackup), 'HotStandbys', translateHotStandby);
}

/** `conf get`: some enumerations become their bare word, in the main section and in each server. */
export function translateConfiguration(response: JsonObject): JsonObject {
  const result: Mutable = { ...response };
  for (const key of CONF_WORDS) {
    const value = result[key];
    if (isJsonObject(value) && typeof value.string_value === 'string') result[key] = value.string_value;
  }
  if (isJsonObject(result.server)) {
    result.server = Object.fromEntries(
      Object.entries(result.server).map(([name, server]) => [
        name,
        isJsonObject(server) ? translateConfiguration(server) : server,
      ]),
    );
  }
  return result;
}

/** Replaces a number that is there; `to` may answer undefined to leave it. */
function replace(object: Mutable, key: string, to: (value: number) => string | undefined): void {
  const value = numberOf(object[key]);
  if (value === undefined) return;
  const text = to(value);
  if (text !== undefined) object[key] = text;
}

function mapArray(object: JsonObject, key: string, map: (entry: JsonObject) => JsonObject): JsonObject {
  const values = object[key];
  if (!Array.isArray(values)) return object;
  return { ...object, [key]: values.map((entry: JsonValue) => (isJsonObject(entry) ? map(entry) : entry)) };
}
