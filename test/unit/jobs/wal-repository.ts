import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from '../../../src/config/index.js';
import { formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';
import { type ServerPaths, serverPaths } from '../../../src/repository/paths.js';
import { temporaryDirectory } from '../temporary.js';

export const MIB = 1024 * 1024;

/** What a backup of the tests is like; positions in segments of 1 MiB. */
export interface FakeBackup {
  readonly start: string;
  readonly end: string;
  readonly wal: string;
  readonly timeline?: number;
  readonly status?: string;
  /** Content of `backup.json`; without it the backup is one of 0.21. */
  readonly header?: Record<string, unknown>;
}

/** A repository with one server, `primary`, in a directory that is gone after the test. */
export class FakeRepository {
  readonly base = temporaryDirectory();
  readonly paths: ServerPaths = serverPaths(this.base, 'primary');
  readonly shipping = join(this.base, 'shipping');

  constructor() {
    mkdirSync(this.paths.wal, { recursive: true });
    mkdirSync(this.paths.backups, { recursive: true });
  }

  /** The settings that the verbs look at. */
  configuration(walShipping: string | null = null): Configuration {
    const retention = { days: 7, weeks: null, months: null, years: null };
    const server = { name: 'primary', wal_shipping: walShipping, retention, hot_standby: [] };
    return { main: { base_dir: this.base, retention }, servers: [server] } as unknown as Configuration;
  }

  /** Lays out a valid backup. */
  backup(label: string, { start, end, wal, timeline = 1, status = '1', header }: FakeBackup): void {
    const directory = join(this.paths.backups, label);
    mkdirSync(join(directory, 'data'), { recursive: true });
    const lines = [
      `STATUS=${status}`,
      `LABEL=${label}`,
      `WAL=${wal}`,
      'ELAPSED=1.5000',
      `START_WALPOS=${start}`,
      `END_WALPOS=${end}`,
      `START_TIMELINE=${timeline}`,
      `END_TIMELINE=${timeline}`,
    ];
    writeFileSync(join(directory, 'backup.info'), formatBackupInfo(parseBackupInfo(lines.join('\n'))));
    writeFileSync(join(directory, 'backup.sha512'), '');
    if (header === undefined) return;
    const json = `{ "Version": 1,\n"Backup": ${JSON.stringify(header)},\n"Files": [\n],\n"Directories": [\n],\n"Links": [\n]\n}\n`;
    writeFileSync(join(directory, 'backup.json'), json);
  }

  /** Writes files of WAL, one byte each; partial ones have the size of a segment. */
  wal(names: readonly string[], directory = this.paths.wal): void {
    mkdirSync(directory, { recursive: true });
    for (const name of names)
      writeFileSync(join(directory, name), name.endsWith('.partial') ? Buffer.alloc(MIB) : Buffer.alloc(1));
  }

  /** Writes a history file. */
  history(name: string, text: string, directory = this.paths.wal): void {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}
