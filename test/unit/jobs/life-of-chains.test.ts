import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Configuration } from '../../../src/config/index.js';
import type { Log } from '../../../src/daemon/log.js';
import { sweepRepository } from '../../../src/daemon/sweep.js';
import { PgmonetaError } from '../../../src/errors/index.js';
import type { Job } from '../../../src/jobs/context.js';
import { deleteJob } from '../../../src/jobs/delete.js';
import { expireJob } from '../../../src/jobs/expire.js';
import { expungeJob, retainJob } from '../../../src/jobs/retain.js';
import { exchange } from '../../../src/native/fs.js';
import { BackupChain } from '../../../src/native/restore.js';
import { ancestorsOf } from '../../../src/repository/ancestors.js';
import { type KnownBackup, listBackups } from '../../../src/repository/catalogue.js';
import { labelOf } from '../../../src/repository/label.js';
import { serverPaths } from '../../../src/repository/paths.js';
import { rollUp } from '../../../src/restore/roll-up.js';
import { seeded } from '../../support/random.mjs';
import { temporaryDirectory } from '../temporary.js';
import { configurationIn } from './configuration.js';
import { contentOf, type Snapshot, storeSnapshot } from './small-cluster.js';

/**
 * Random histories of backups of a small cluster: full and incremental ones that branch, deletes with roll-ups, retained
 * and expired ones, and the process dies in the middle. After each step every backup restores to what was backed up.
 */

const HISTORIES = Number(process.env.PGMONETA_TEST_HISTORIES ?? 12);
const STEPS = 14;
const random = seeded('life of chains');
const upTo = (limit: number): number => Math.floor(random() * limit);
const chance = (probability: number): boolean => random() < probability;
const pick = <T>(values: readonly T[]): T => values[upTo(values.length)] as T;
const nothing = (): void => {};
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, reconfigure: nothing, close: nothing };
const masterSecret = Buffer.alloc(64, 7);

class Life {
  readonly base = temporaryDirectory();
  readonly paths = serverPaths(this.base, 'primary');
  readonly configuration: Configuration;
  /** What each backup was taken of. */
  readonly taken = new Map<string, Snapshot>();
  readonly retained = new Set<string>();
  #relations = new Map<string, number[]>([
    ['16384', [1, 1, 1, 1, 1, 1]],
    ['16385', []],
    ['16386_vm', [1]],
  ]);
  #version = 1;
  #moment = Date.now() - 300 * 86_400_000;

  constructor() {
    this.configuration = configurationIn(this.base, pick(['7', '3,2', '10,4,3', '-,3,-,2', '30,4,12,5']));
    mkdirSync(this.paths.backups, { recursive: true });
  }

  labels(): string[] {
    return readdirSync(this.paths.backups).sort();
  }

  async known(): Promise<KnownBackup[]> {
    return (await listBackups(this.paths)).filter((one): one is KnownBackup => one.info !== undefined);
  }

  /** The cluster lives on: blocks change, relations grow, shrink, come and go. */
  #live(): void {
    for (const [name, versions] of this.#relations) {
      const what = random();
      if (what < 0.1) this.#relations.delete(name);
      else if (what < 0.25) versions.length = upTo(versions.length + 1);
      else if (what < 0.5) for (let n = upTo(6); n >= 0; n--) versions.push(chance(0.2) ? 0 : ++this.#version);
      for (let at = 0; at < versions.length; at++) if (chance(0.15)) versions[at] = ++this.#version;
    }
    if (chance(0.3)) this.#relations.set(String(20_000 + upTo(5)), Array(upTo(8)).fill(++this.#version));
  }

  async takeBackup(): Promise<void> {
    this.#moment += (1 + upTo(6 * 86_400)) * 1000;
    if (this.#moment > Date.now()) return;
    this.#live();
    const parents = (await this.known()).filter(({ validity }) => validity === 'valid');
    // Mostly on the newest, sometimes a branch.
    const backup = parents.length === 0 || chance(0.25) ? undefined : chance(0.6) ? parents.at(-1) : pick(parents);
    const snapshot = backup === undefined ? undefined : this.taken.get(backup.label);
    const relations = new Map([...this.#relations].map(([name, versions]) => [name, [...versions]]));
    const now = {
      label: labelOf(new Date(this.#moment)),
      number: this.taken.size + 2,
      relations,
      parent: backup?.label,
    };
    if (existsSync(path.join(this.paths.backups, now.label))) return;
    await storeSnapshot(this.paths, now, backup && snapshot ? { backup, snapshot } : undefined, {
      compression: pick(['none', 'zstd', 'client-lz4', 'client-gzip']),
      encryption: pick(['none', 'none', 'aes-256-gcm', 'aes-128-ctr']),
      masterSecret,
    });
    this.taken.set(now.label, now);
  }

  async run(job: Job, request: Record<string, string | boolean>): Promise<boolean> {
    const { configuration } = this;
    const { signal } = new AbortController();
    const context = { configuration, password: undefined, masterSecret, signal, progress: nothing, log: nothing };
    try {
      await job({ Server: 'primary', ...request }, context);
      return true;
    } catch (error) {
      if (!(error instanceof PgmonetaError) || error.code === 'INTERNAL') throw error;
      if (error.code === 'DELETE_BACKUP_ROLLUP') throw error;
      return false;
    }
  }

  /** A delete of a parent dies at one of its moments: some children are built, some exchanged, one perhaps half. */
  async dieRollingUp(): Promise<void> {
    const all = await this.known();
    const parents = all.filter(({ label }) => all.some(({ info }) => info.incremental && info.parent === label));
    if (parents.length === 0) return;
    const parent = pick(parents);
    const children = all.filter(({ info }) => info.incremental && info.parent === parent.label);
    mkdirSync(this.paths.rollUps, { recursive: true });
    const built = children.slice(0, 1 + upTo(children.length));
    for (const child of built) {
      const directory = path.join(this.paths.rollUps, child.label);
      const { signal } = new AbortController();
      await rollUp({ child, ancestors: [parent], directory, workers: 1, masterSecret, signal, onProgress: nothing });
    }
    if (built.length < children.length) return;
    const exchanged = children.slice(0, upTo(children.length + 1));
    for (const child of exchanged) await exchange(path.join(this.paths.rollUps, child.label), child.directory);
    const [last] = children.slice(exchanged.length);
    // Where an exchange is three renames, it can stop after any of them.
    const [here, aside] = ['', '.exchange'].map((end) => path.join(this.paths.rollUps, `${last?.label}${end}`));
    if (last === undefined || here === undefined || aside === undefined) return;
    if (chance(0.5)) renameSync(here, aside);
    if (existsSync(aside) && chance(0.7)) renameSync(last.directory, here);
  }

  /** What a process that dies leaves behind, and the sweep of the next start. */
  async crash(): Promise<void> {
    await this.dieRollingUp();
    mkdirSync(path.join(this.paths.staging, '20200101000000', 'data'), { recursive: true });
    await sweepRepository(this.base, ['primary'], log);
    for (const place of [this.paths.rollUps, this.paths.trash, this.paths.staging]) {
      expect(existsSync(place) ? readdirSync(place) : [], place).toEqual([]);
    }
  }

  /** Every backup restores to what it was taken of, and nothing but it. */
  async prove(what: string): Promise<void> {
    const all = await this.known();
    expect(all.map(({ label }) => label)).toEqual(this.labels());
    for (const backup of all) {
      expect(backup.validity, `${what}: ${backup.label}`).toBe('valid');
      expect(backup.info.keep, `${what}: ${backup.label} is retained`).toBe(this.retained.has(backup.label));
      const target = path.join(this.base, 'restored');
      const backups = [backup, ...ancestorsOf(all, backup, false)].map(({ directory }) => directory);
      const chain = await BackupChain.open(backups, { masterSecret });
      await chain.restore({ target, tablespaces: [], workers: 1 });
      const wanted = contentOf(this.taken.get(backup.label) as Snapshot);
      for (const [name, bytes] of wanted) {
        const same = readFileSync(path.join(target, name)).equals(bytes);
        expect(same, `${what}: ${name} of ${backup.label}`).toBe(true);
      }
      const relations = readdirSync(path.join(target, 'base/1')).map((name) => `base/1/${name}`);
      expect(relations.filter((name) => !wanted.has(name))).toEqual([]);
      expect(readFileSync(path.join(target, 'backup_label'), 'utf8')).not.toContain('INCREMENTAL');
      rmSync(target, { recursive: true });
    }
    for (const label of this.retained) expect(this.labels(), `${what}: ${label} is retained`).toContain(label);
  }
}

async function step(life: Life): Promise<string> {
  const labels = life.labels();
  if (labels.length === 0 || chance(0.4)) {
    await life.takeBackup();
    return 'backup';
  }
  const label = pick(labels);
  const roll = random();
  if (roll < 0.4) {
    const force = chance(0.3);
    const had = life.retained.has(label);
    const done = await life.run(deleteJob, { Backup: label, Force: force });
    expect(done, `delete ${label}`).toBe(!had || force);
    if (done) life.retained.delete(label);
    // Nothing but this one went.
    expect(life.labels()).toEqual(done ? labels.filter((one) => one !== label) : labels);
    return done ? 'delete' : 'delete refused';
  }
  if (roll < 0.5) {
    if (await life.run(retainJob, { Backup: label })) life.retained.add(label);
    return 'retain';
  }
  if (roll < 0.6) {
    if (await life.run(expungeJob, { Backup: label })) life.retained.delete(label);
    return 'expunge';
  }
  if (roll < 0.85) {
    await life.crash();
    expect(life.labels()).toEqual(labels);
    return 'crash';
  }
  expect(await life.run(expireJob, {})).toBe(true);
  expect(life.labels()).toContain(labels.at(-1));
  return 'expire';
}

describe(`${HISTORIES} random histories of chains`, () => {
  it('every backup restores to what it was taken of', { timeout: 60_000 + HISTORIES * 60_000 }, async () => {
    const done = new Map<string, number>();
    for (let n = 0; n < HISTORIES; n++) {
      const life = new Life();
      for (let m = 0; m < STEPS; m++) {
        const what = await step(life);
        await life.prove(`history ${n}, step ${m}: ${what}`);
        done.set(what, (done.get(what) ?? 0) + 1);
      }
      rmSync(life.base, { recursive: true });
    }
    for (const verb of ['backup', 'delete', 'crash']) expect(done.get(verb) ?? 0, verb).toBeGreaterThan(HISTORIES / 2);
  });
});
