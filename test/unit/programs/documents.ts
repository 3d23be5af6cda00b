import { type JsonObject, readJson } from '../../../src/management/json/index.js';

const header = (command: number, output = 0): string =>
  `"Header":{"ClientVersion":"0.22.0","Command":${command},"Compression":0,"Encryption":0,"Output":${output},"Protocol":2,"Timestamp":"20261120120239"}`;
const outcome = '"Outcome":{"Status":true,"Time":"00:00:0.0004"}';

function document(command: number, request: string, response: string, output = 0): JsonObject {
  return readJson(`{${header(command, output)},${outcome},"Request":${request},"Response":${response}}`);
}

const backup = (label: string, more: string): string =>
  `{"Backup":"${label}","BackupSize":2664000000,"BiggestFileSize":1073741824,"Comments":null,"Compression":0,"Delta":33554432,"Encryption":0,${more}"Keep":false,"RestoreSize":2641404887,"Valid":1,"WAL":67108864}`;

/** Replies as they are on the wire. */
export const REPLIES = {
  info: (output = 0) =>
    document(
      18,
      '{"Backup":"newest","Server":"primary"}',
      '{"Backup":"20261120123427","BackupSize":5704253,"BiggestFileSize":1073741824,"CheckpointHiLSN":4,"CheckpointLoLSN":553648256,"Comments":null,"Compression":18,"Elapsed":12.500000,"Encryption":1,"EndHiLSN":4,"EndLoLSN":553648416,"EndTimeline":1,"Keep":false,"MajorVersion":17,"MinorVersion":11,"NumberOfTablespaces":0,"RestoreSize":2684354560,"Server":"primary","ServerVersion":"0.22.0","StartHiLSN":4,"StartLoLSN":553648168,"StartTimeline":1,"Tablespaces":{},"Valid":1,"WAL":"000000010000000400000021"}',
      output,
    ),
  listBackup: (output = 0) =>
    document(
      2,
      '{"Server":"primary","Sort":"asc"}',
      `{"Backups":[${backup('20261120120134', '"Incremental":false,"IncrementalParent":null,')},${backup('20261120120152', '"Incremental":true,"IncrementalParent":"20261120120134",')}],"MajorVersion":17,"MinorVersion":11,"NumberOfBackups":2,"Server":"primary","ServerVersion":"0.22.0"}`,
      output,
    ),
  statusDetails: (output = 0) =>
    document(
      8,
      '{}',
      `{"FreeSpace":71284285440,"NumberOfServers":1,"PgmonetaFips":false,"ServerVersion":"0.22.0","Servers":[{"ActiveBackup":false,"Backups":[${backup('20261120120134', '')}],"HotStandbySize":0,"NumberOfBackups":1,"Online":true,"RetentionDays":7,"RetentionMonths":-1,"RetentionWeeks":-1,"RetentionYears":-1,"Server":"primary","ServerSize":2769698816,"Workers":0,"WorkspaceFreeSpace":0}],"TotalSpace":270553174016,"UsedSpace":2769698816,"Workers":0}`,
      output,
    ),
  restore: () =>
    document(
      3,
      '{"Backup":"oldest","Directory":"/restore","Position":"current","Server":"primary"}',
      '{"Backup":"20261120120610","BackupSize":303636152,"BiggestFileSize":202375168,"Comments":null,"Compression":18,"Encryption":1,"Incremental":false,"IncrementalParent":null,"MajorVersion":17,"MinorVersion":11,"RestoreSize":303625666,"Server":"primary","ServerVersion":"0.22.0"}',
    ),
  verify: () =>
    document(
      19,
      '{"Backup":"newest","Directory":"/restore","Files":"failed","Server":"primary"}',
      '{"Backup":"20261120123427","Files":{"All":{},"Failed":[{"Calculated":"49dd","Directory":"/restore/primary-20261120123427","FileName":"backup_label","HashAlgorithm":"SHA512","Original":"008f"}]},"MajorVersion":17,"MinorVersion":11,"Server":"primary","ServerVersion":"0.22.0"}',
    ),
  confGet: (output = 0) =>
    document(
      22,
      '{}',
      '{"ServerVersion":"0.22.0","azure_base_dir":null,"backlog":16,"blocking_timeout":{"string_value":"30s","value":30},"compression":{"string_value":"zstd","value":2},"create_slot":{"string_value":"yes","value":1},"log_level":{"string_value":"info","value":3},"retention":"7,-,-,-","server":{"my.db":{"port":5433},"primary":{"compression":{"string_value":"none","value":0},"create_slot":0,"host":"127.0.0.1","port":5432}},"update_process_title":{"string_value":"verbose","value":3}}',
      output,
    ),
} as const;
