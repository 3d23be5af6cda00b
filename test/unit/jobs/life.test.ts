import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Configuration } from '../../../src/config/index.js';
import type { Log } from '../../../src/daemon/log.js';
import { sweepRepository } from '../../../src/daemon/sweep.js';
import { PgmonetaError } from '../../../src/errors/index.js';
import { annotateJob } from '../../../src/jobs/annotate.js';
import type { Job, JobContext } from '../../../src/jobs/context.js';
import { deleteJob } from '../../../src/jobs/delete.js';
import { expireJob } from '../../../src/jobs/expire.js';
import { expungeJob, retainJob } from '../../../src/jobs/retain.js';
import { type BackupInfo, formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';
import { labelOf } from '../../../src/repository/label.js';
import { serverPaths } from '../../../src/repository/paths.js';
import { rewriteSteps } from '../../../src/repository/rewrite-info.js';
import { seeded } from '../../support/random.mjs';
import { temporaryDirectory } from '../temporary.js';
import { configurationIn } from './configuration.js';

/**
 * Random lives of a repository: backups come, are retained, annotated, deleted and expire, and the process dies in the
 * middle. After each step every backup that is valid has its content and all that it builds upon.
 */

const HISTORIES = Number(process.env.PGMONETA_TEST_HISTORIES ?? 25);
const STEPS = 25;
const random = seeded('life of backups');
const upTo = (limit: number): number => Math.floor(random() * limit);
const chance = (probability: number): boolean => random() < probability;
const pick = <T>(values: readonly T[]): T => values[upTo(values.length)] as T;
const sha512 = (bytes: Buffer | string): string => createHash('sha512').update(bytes).digest('hex');
const nothing = (): void => {};
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, reconfigure: nothing, close: nothing };

class Life {
  readonly base = temporaryDirectory();
  readonly paths = serverPaths(this.base, 'primary');
  readonly configuration: Configuration;
  /** What each backup has to hold, by label: content by name. */
  readonly content = new Map<string, Map<string, string>>();
  /** Labels that the operator retains. */
  readonly retained = new Set<string>();
  #moment = Date.now() - 400 * 86_400_000;

  constructor() {
    this.configuration = configurationIn(this.base, pick(['7', '3,2', '10,4,3', '-,3,-,2', '1', '-,-,6', '30,4,12,5']));
    mkdirSync(this.paths.backups, { recursive: true });
  }

  labels(): string[] {
    return readdirSync(this.paths.backups).sort();
  }

  directory(label: string): string {
    return path.join(this.paths.backups, label);
  }

  info(label: string): BackupInfo {
    return parseBackupInfo(readFileSync(path.join(this.directory(label), 'backup.info'), 'utf8'));
  }

  /** A new backup: some files of its own, some hard links, some links of the C program into an older one. */
  takeBackup(): void {
    this.#moment += upTo(20 * 24 * 3600) * 1000;
    if (this.#moment > Date.now()) return;
    const label = labelOf(new Date(this.#moment));
    if (existsSync(this.directory(label))) return;
    const older = this.labels();
    const previous = older.length > 0 ? pick(older) : undefined;
    const parent = previous !== undefined && chance(0.5) ? previous : '';
    const content = new Map<string, string>();
    mkdirSync(path.join(this.directory(label), 'data'), { recursive: true });
    for (let n = 0; n < 4; n++) {
      const name = `data/${n}`;
      const file = path.join(this.directory(label), name);
      const known = previous === undefined ? undefined : this.content.get(previous)?.get(name);
      const source = previous === undefined ? '' : path.join(this.directory(previous), name);
      const how = known === undefined ? 0 : upTo(3);
      if (how === 1 && !lstatSync(source).isSymbolicLink()) linkSync(source, file);
      else if (how === 2) symlinkSync(source, file);
      else writeFileSync(file, `${label} ${n} ${random()}`);
      content.set(name, readFileSync(file, 'utf8'));
    }
    this.content.set(label, content);
    this.describe(label, { incremental: parent !== '', parent, status: !chance(0.1) });
  }

  describe(label: string, more: Partial<BackupInfo>): void {
    const text = formatBackupInfo({ ...parseBackupInfo('STATUS=1\n'), label, majorVersion: 17, ...more });
    writeFileSync(path.join(this.directory(label), 'backup.info'), text);
    const names = [...(this.content.get(label)?.keys() ?? [])];
    const lines = names.map((name) => `${sha512(this.content.get(label)?.get(name) ?? '')} *./${name}\n`);
    writeFileSync(
      path.join(this.directory(label), 'backup.sha512'),
      `${lines.join('')}${sha512(text)} *./backup.info\n`,
    );
  }

  async run(job: Job, request: Record<string, string | boolean>): Promise<boolean> {
    const context: JobContext = {
      configuration: this.configuration,
      password: undefined,
      masterSecret: undefined,
      signal: new AbortController().signal,
      progress: nothing,
      log: nothing,
    };
    try {
      await job({ Server: 'primary', ...request }, context);
      return true;
    } catch (error) {
      if (!(error instanceof PgmonetaError) || error.code === 'INTERNAL') throw error;
      return false;
    }
  }

  /** What a process that dies leaves behind, and the sweep of the next start. */
  async crash(label: string): Promise<void> {
    const text = formatBackupInfo({ ...this.info(label), comments: `crash|${upTo(1000)}` });
    mkdirSync(this.paths.rewrite, { recursive: true });
    for (const { run } of rewriteSteps(this.paths, label, text).slice(0, upTo(6))) await run();
    const childless = this.labels().filter((one) => !this.labels().some((other) => this.info(other).parent === one));
    const linked = (one: string): boolean =>
      this.labels().some((other) =>
        [...(this.content.get(other)?.keys() ?? [])].some((name) => {
          const status = lstatSync(path.join(this.directory(other), name));
          return other !== one && status.isSymbolicLink();
        }),
      );
    const leaving = childless.filter((one) => !this.retained.has(one) && !linked(one));
    if (leaving.length > 1 && chance(0.5)) {
      mkdirSync(this.paths.trash, { recursive: true });
      const gone = pick(leaving);
      renameSync(this.directory(gone), path.join(this.paths.trash, `${gone}-1-1`));
    }
    mkdirSync(path.join(this.paths.staging, '20200101000000', 'data'), { recursive: true });
    await sweepRepository(this.base, ['primary'], log);
  }

  /** Whether the backup and all that it builds upon are valid and there. */
  restorable(label: string): boolean {
    if (!existsSync(this.directory(label))) return false;
    const { status, incremental, parent } = this.info(label);
    return status === true && (!incremental || this.restorable(parent));
  }

  /** Everything that has to hold after a step. */
  prove(what: string): void {
    for (const label of this.labels()) {
      const list = readFileSync(path.join(this.directory(label), 'backup.sha512'), 'utf8')
        .trimEnd()
        .split('\n');
      const { keep, incremental, parent } = this.info(label);
      expect(keep, `${what}: ${label} is retained`).toBe(this.retained.has(label));
      if (incremental) expect(this.labels(), `${what}: the parent of ${label}`).toContain(parent);
      for (const line of list) {
        const [digest, name = ''] = line.split(' *./');
        expect(sha512(readFileSync(path.join(this.directory(label), name))), `${what}: ${label}/${name}`).toBe(digest);
      }
      for (const [name, text] of this.content.get(label) ?? []) {
        expect(readFileSync(path.join(this.directory(label), name), 'utf8'), `${what}: ${label}/${name}`).toBe(text);
      }
    }
    for (const label of this.retained) expect(this.labels(), `${what}: ${label} is retained`).toContain(label);
  }
}

async function step(life: Life): Promise<string> {
  const labels = life.labels();
  if (labels.length === 0 || chance(0.35)) {
    life.takeBackup();
    return 'backup';
  }
  const label = pick(labels);
  const before = labels.filter((one) => life.restorable(one));
  const roll = random();
  if (roll < 0.2) {
    const force = chance(0.2);
    const had = life.retained.has(label);
    if (await life.run(deleteJob, { Backup: label, Force: force })) life.retained.delete(label);
    if (had && !force) expect(life.labels()).toContain(label);
    return `delete ${label}`;
  }
  if (roll < 0.35) {
    if ((await life.run(retainJob, { Backup: label })) === true) life.retained.add(label);
    return `retain ${label}`;
  }
  if (roll < 0.45) {
    if (await life.run(expungeJob, { Backup: label })) life.retained.delete(label);
    return `expunge ${label}`;
  }
  if (roll < 0.55) {
    await life.run(annotateJob, {
      Backup: label,
      Action: pick(['add', 'update', 'remove']),
      Key: pick(['a', 'b|c']),
      Comment: 'x,y|z',
    });
    return `annotate ${label}`;
  }
  if (roll < 0.7) {
    await life.crash(label);
    return 'crash';
  }
  expect(await life.run(expireJob, {})).toBe(true);
  const newest = before.at(-1);
  if (newest !== undefined) expect(life.restorable(newest), 'the newest restorable backup stays').toBe(true);
  for (const one of before)
    if (life.labels().includes(one)) expect(life.restorable(one), `${one} is restorable`).toBe(true);
  return 'expire';
}

describe(`${HISTORIES} random lives of a repository`, () => {
  it('whatever happens, what is listed is whole', { timeout: 60_000 + HISTORIES * 10_000 }, async () => {
    const done = new Map<string, number>();
    let removed = 0;
    for (let n = 0; n < HISTORIES; n++) {
      const life = new Life();
      for (let m = 0; m < STEPS; m++) {
        const count = life.labels().length;
        const what = await step(life);
        life.prove(what);
        const verb = what.split(' ')[0] as string;
        done.set(verb, (done.get(verb) ?? 0) + 1);
        if (verb === 'expire') removed += count - life.labels().length;
      }
      expect(existsSync(life.paths.trash) ? readdirSync(life.paths.trash) : []).toEqual([]);
      rmSync(life.base, { recursive: true });
    }
    for (const verb of ['backup', 'delete', 'retain', 'expunge', 'annotate', 'crash', 'expire']) {
      expect(done.get(verb) ?? 0, verb).toBeGreaterThan(HISTORIES / 2);
    }
    expect(removed).toBeGreaterThan(HISTORIES);
  });
});
