import { describe, expect, it } from 'vitest';
import { Real, readJson } from '../../../src/management/json/index.js';
import { render } from '../../../src/programs/pgmoneta-cli/present.js';
import { backupCompression, backupEncryption } from '../../../src/programs/pgmoneta-cli/render/backup-codes.js';
import { formatSize } from '../../../src/programs/pgmoneta-cli/render/size.js';
import { renderJson } from '../../../src/programs/shared/render/json.js';
import { renderText } from '../../../src/programs/shared/render/text.js';
import { cipherOfCode, codecOfCode } from '../../../src/repository/codes.js';
import { REPLIES } from './documents.js';

const HEADER = (command: string) => `Header:
  ClientVersion: 0.22.0
  Command: ${command}
  Compression: none
  Encryption: none
  Output: text
  Timestamp: 20261120120239
Outcome:
  Status: true
  Time: 00:00:0.0004
`;

describe('text', () => {
  it('shows info with LSN parts in hex, the name of the WAL file and the time it took', () => {
    expect(render(REPLIES.info(), 'text')).toBe(`${HEADER('info')}Request:
  Backup: newest
  Server: primary
Response:
  Backup: 20261120123427
  BackupSize: 5.44MB
  BiggestFileSize: 1.00GB
  CheckpointHiLSN: 4
  CheckpointLoLSN: 21000080
  Comments: 
  Compression: zstd
  Delta: 0.00B
  Elapsed: 12.500000
  Encryption: aes-256-gcm
  EndHiLSN: 4
  EndLoLSN: 21000120
  EndTimeline: 1
  Keep: false
  MajorVersion: 17
  MinorVersion: 11
  NumberOfTablespaces: 0
  RestoreSize: 2.50GB
  Server: primary
  ServerVersion: 0.22.0
  StartHiLSN: 4
  StartLoLSN: 21000028
  StartTimeline: 1
  Tablespaces: {}
  Valid: yes
  WAL: 000000010000000400000021
`);
  });

  it('shows list-backup as an array, with WAL and Delta', () => {
    expect(render(REPLIES.listBackup(), 'text')).toBe(`${HEADER('list-backup')}Request:
  Server: primary
  Sort: asc
Response:
  Backups:
    - Backup: 20261120120134
      BackupSize: 2.48GB
      BiggestFileSize: 1.00GB
      Comments: 
      Compression: none
      Delta: 32.00MB
      Encryption: none
      Incremental: false
      IncrementalParent: 
      Keep: false
      RestoreSize: 2.46GB
      Valid: yes
      WAL: 64.00MB
    - Backup: 20261120120152
      BackupSize: 2.48GB
      BiggestFileSize: 1.00GB
      Comments: 
      Compression: none
      Delta: 32.00MB
      Encryption: none
      Incremental: true
      IncrementalParent: 20261120120134
      Keep: false
      RestoreSize: 2.46GB
      Valid: yes
      WAL: 64.00MB
  MajorVersion: 17
  MinorVersion: 11
  NumberOfBackups: 2
  Server: primary
  ServerVersion: 0.22.0
`);
  });

  it('shows status details with backups inside servers', () => {
    expect(render(REPLIES.statusDetails(), 'text')).toBe(`${HEADER('status-details')}Request: {}
Response:
  FreeSpace: 66.39GB
  NumberOfServers: 1
  PgmonetaFips: false
  ServerVersion: 0.22.0
  Servers:
    - ActiveBackup: false
      Backups:
        - Backup: 20261120120134
          BackupSize: 2.48GB
          BiggestFileSize: 1.00GB
          Comments: 
          Compression: none
          Delta: 32.00MB
          Encryption: none
          Keep: false
          RestoreSize: 2.46GB
          Valid: yes
          WAL: 64.00MB
      HotStandbySize: 0.00B
      NumberOfBackups: 1
      Online: true
      RetentionDays: 7
      RetentionMonths: Unspecified
      RetentionWeeks: Unspecified
      RetentionYears: Unspecified
      Server: primary
      ServerSize: 2.58GB
      Workers: 0
      WorkspaceFreeSpace: 0.00B
  TotalSpace: 251.97GB
  UsedSpace: 2.58GB
  Workers: 0
`);
  });

  it('adds the sizes that restore does not send', () => {
    const text = render(REPLIES.restore(), 'text');
    expect(text).toContain('  Delta: 0.00B\n');
    expect(text).toContain('  WAL: 0.00B\n');
    expect(text).toContain('  BackupSize: 289.57MB\n');
    expect(text).not.toContain('Valid');
  });

  it('shows the damaged files of verify', () => {
    expect(render(REPLIES.verify(), 'text')).toContain(`  Files:
    All: {}
    Failed:
      - Calculated: 49dd
        Directory: /restore/primary-20261120123427
        FileName: backup_label
        HashAlgorithm: SHA512
        Original: 008f
`);
  });

  it('shows some settings of conf get as bare words, others with their value', () => {
    const text = render(REPLIES.confGet(), 'text');
    expect(text).toContain(
      '  azure_base_dir: \n  backlog: 16\n  blocking_timeout:\n    string_value: 30s\n    value: 30\n',
    );
    expect(text).toContain('  compression: zstd\n  create_slot: yes\n  log_level: info\n');
    expect(text).toContain('    primary:\n      compression: none\n      create_slot: 0\n');
    expect(text).toContain('  update_process_title:\n    string_value: verbose\n    value: 3\n');
  });

  it('prints arrays in arrays, empty entries and texts without quoting', () => {
    expect(renderText({ a: [['x', 'y'], [], {}, { b: 'q"', c: [1] }], n: null })).toBe(
      'a:\n  - - x\n    - y\n  - {}\n  - {}\n  - b: q"\n    c:\n      - 1\nn: \n',
    );
    expect(renderText({})).toBe('');
  });
});

describe('json', () => {
  it('is what text is, and valid', () => {
    const text = render(REPLIES.info(1), 'json');
    expect(JSON.parse(text).Response).toMatchObject({
      BackupSize: '5.44MB',
      CheckpointLoLSN: '21000080',
      Elapsed: 12.5,
      Tablespaces: {},
      WAL: '000000010000000400000021',
    });
    expect(text).toContain('    "Elapsed": 12.500000,\n');
    expect(text).toContain('    "Comments": null,\n');
    expect(JSON.parse(text).Header).toEqual({
      ClientVersion: '0.22.0',
      Command: 'info',
      Compression: 'none',
      Encryption: 'none',
      Output: 'json',
      Timestamp: '20261120120239',
    });
  });

  it('is laid out by two blanks, arrays too', () => {
    expect(renderJson({ B: [{ C: 1 }, 'x'], A: '', D: [] })).toBe(
      '{\n  "A": null,\n  "B": [\n    {\n      "C": 1\n    },\n    "x"\n  ],\n  "D": {}\n}\n',
    );
  });

  it('stays valid with apostrophes, control characters and reals', () => {
    const text = renderJson({ A: "it's\u0001\n", B: new Real(1), C: 2n ** 60n });
    expect(text).toBe('{\n  "A": "it\'s\\u0001\\n",\n  "B": 1.000000,\n  "C": 1152921504606846976\n}\n');
    expect(() => JSON.parse(text)).not.toThrow();
  });
});

describe('raw', () => {
  it('leaves every value as it is on the wire', () => {
    const parsed = JSON.parse(render(REPLIES.statusDetails(2), 'raw'));
    expect(parsed.Header).toMatchObject({ Command: 8, Output: 2, Compression: 0 });
    expect(parsed.Response.FreeSpace).toBe(71284285440);
    expect(parsed.Response.Servers[0].RetentionWeeks).toBe(-1);
    expect(parsed.Response.Servers[0].Backups[0]).toMatchObject({ Valid: 1, Compression: 0 });
  });
});

describe('a failed reply', () => {
  it('is not translated, and shows message and hint', () => {
    const document = readJson(
      '{"Header":{"Command":1,"Output":0},"Outcome":{"Error":110,"Hint":"do this","Message":"server is offline","Status":false,"Workflow":"main"},"Request":{"Backup":null,"Server":"primary"},"Response":{"Server":"primary","ServerVersion":"0.21.0"}}',
    );
    expect(render(document, 'text')).toBe(`Header:
  Command: backup
  Output: text
Outcome:
  Error: 110
  Hint: do this
  Message: server is offline
  Status: false
  Workflow: main
Request:
  Backup: 
  Server: primary
Response:
  Server: primary
  ServerVersion: 0.21.0
`);
  });
});

describe('sizes and codes', () => {
  it.each([
    [0, '0.00B'],
    [1023, '1023.00B'],
    [1024, '1.00kB'],
    [6_857_687, '6.54MB'],
    [2n ** 40n, '1.00TB'],
    [2 ** 60, '1024.00PB'],
  ])('print %s as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it('agree with the codes of the repository', () => {
    for (let code = 0; code < 64; code++) {
      expect(backupCompression(code)).toBe(codecOfCode(code) ?? 'unknown');
      expect(backupEncryption(code)).toBe(cipherOfCode(code) ?? 'unknown');
    }
  });

  it('show encrypt by its name', () => {
    expect(render(readJson('{"Header":{"Command":15}}'), 'text')).toBe('Header:\n  Command: encrypt\n');
    expect(render(readJson('{"Header":{"Command":99}}'), 'text')).toBe('Header:\n  Command: 99\n');
  });
});
