/** A database whose pages change, and the chains of backups that the product and its peers take of it. */
import { mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { until } from '../test/support/processes.mjs';
import { give } from '../test/support/runtime.mjs';
import { Scene } from '../test/support/scene.mjs';
import { startExisting } from '../test/support/server.mjs';
import { installed, peerFolder, product, shell, sizeOf, VARIANTS } from './contestants.mjs';
import { generate } from './data.mjs';

/**
 * @typedef {import('./measure.mjs').Cost & {size: number}} Taken what a backup cost, and what it takes on disk
 * @typedef {import('./measure.mjs').Cost & {size: number, start: number}} Restored `start`: seconds from the end of the
 *   restore to the first accepted connection
 * @typedef {{name: string, run: () => Promise<Restored>}} Contestant
 */

const SETTINGS = {
  autovacuum: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  shared_buffers: '512MB',
  maintenance_work_mem: '256MB',
  summarize_wal: 'on',
};

/** What a restored server is started with: little memory, so that making room for it takes no time. */
const RESTORED = { override: { shared_buffers: '64MB', autovacuum: 'off' } };

/** Bytes that stay free on the disk whatever is measured. */
const RESERVE = 4 * 1024 ** 3;

/** A server, the product beside it and, where they are installed, its peers; one chain of each. */
export class Chains {
  /** Incremental backups that were taken. */
  length = 0;
  /** Bytes of plain directories. @type {number[]} */
  plain = [];

  /** @param {Scene} scene @param {string | undefined} bin programs of the peers @param {number} database bytes */
  constructor(scene, bin, database) {
    this.scene = scene;
    this.bin = bin;
    this.database = database;
    this.folder = peerFolder(scene);
    this.tars = bin !== undefined && installed('zstd');
  }

  /** @param {number} size MB @param {string | undefined} bin */
  static async open(size, bin) {
    const scene = await Scene.open(17, { workload: false, server: { settings: SETTINGS } });
    await scene.reconfigure(VARIANTS['zstd-3']);
    return new Chains(scene, bin, await generate(scene.server, size));
  }

  /** Changes a share of the pages of the large tables, spread evenly. @param {number} percent */
  async change(percent) {
    const { server } = this.scene;
    const step = Math.max(1, Math.round(100 / percent));
    for (const [table, set] of [
      ['accounts', 'abalance = abalance + 1'],
      ['orders', 'amount = amount + 1'],
      ['noise', 'id = id'],
    ]) {
      await server.sql(
        `UPDATE ${table} SET ${set} WHERE ctid IN (
           SELECT min(ctid) FROM ${table} WHERE (ctid::text::point)[0]::int % ${step} = 0 GROUP BY (ctid::text::point)[0])`,
      );
    }
  }

  /** Waits until nothing is left to be done that a backup did not ask for. */
  async settle() {
    const { server, pgmoneta } = this.scene;
    await server.sql('CHECKPOINT');
    const wal = path.join(pgmoneta.repository, 'primary', 'wal');
    const options = { timeout: 300_000, interval: 100 };
    const summarised =
      'SELECT summarized_lsn >= (SELECT redo_lsn FROM pg_control_checkpoint()) FROM pg_get_wal_summarizer_state()';
    await until('the summaries of WAL', async () => (await server.value(summarised)) === 't' || undefined, options);
    const resting = () => readdirSync(wal).every((name) => name.length !== 24) || undefined;
    await until('WAL in its kept form', resting, options);
  }

  /**
   * Takes the next backup with everybody, in changing order: the first one is full.
   * @returns {Promise<Map<string, Taken>>}
   */
  async backUp() {
    const number = this.plain.length;
    /** @type {[string, () => Promise<Taken>][]} */
    const all = [['pgmoneta, zstd-3', () => this.#ours(number)]];
    if (this.bin) all.push(['pg_basebackup, plain', () => this.#peer(number, `${number}`, '--format=plain')]);
    if (this.tars) {
      const form = '--format=tar --compress=client-zstd:3';
      all.push(['pg_basebackup, tar, zstd:3', () => this.#peer(number, `${number}.tar`, form)]);
    }
    /** @type {Map<string, Taken>} */
    const results = new Map(all.map(([name]) => [name, /** @type {Taken} */ (/** @type {unknown} */ (undefined))]));
    for (const [name, take] of number % 2 === 0 ? all : all.reverse()) {
      await this.settle();
      results.set(name, await take());
    }
    this.plain.push(this.bin ? sizeOf(path.join(this.folder, `${number}`)) : this.database);
    this.length = number;
    return results;
  }

  /** @param {number} number @returns {Promise<Taken>} */
  async #ours(number) {
    const { pgmoneta } = this.scene;
    const cost = await product(this.scene, ['backup', 'primary', ...(number > 0 ? ['newest'] : [])]);
    return { ...cost, size: sizeOf(pgmoneta.backupDirectory(pgmoneta.backupsOnDisk().at(-1) ?? '')) };
  }

  /** @param {number} number @param {string} name @param {string} form @returns {Promise<Taken>} */
  async #peer(number, name, form) {
    const { server } = this.scene;
    const target = path.join(this.folder, name);
    const parent = path.join(this.folder, name.replace(/^\d+/, String(number - 1)), 'backup_manifest');
    const incremental = number > 0 ? `--incremental='${parent}'` : '';
    const cost = await shell(
      `'${this.bin}/pg_basebackup' --host='${server.socketDirectory}' --port=${server.port} --username=postgres --pgdata='${target}' --wal-method=fetch --checkpoint=fast --no-password ${form} ${incremental}`,
      server.pid,
    );
    return { ...cost, size: sizeOf(target) };
  }

  /** Where the backups of all of them are. */
  stored() {
    const { pgmoneta } = this.scene;
    return [path.dirname(pgmoneta.backupDirectory('any')), ...(this.bin ? [this.folder] : [])];
  }

  /** Who restores the newest backup. @returns {Contestant[]} */
  contestants() {
    const all = [{ name: 'pgmoneta, from zstd-3', run: () => this.#restore() }];
    if (!this.bin) return all;
    const numbers = this.plain.map((_, number) => number);
    const output = path.join(this.folder, 'output');
    const combine = (/** @type {string} */ from, options = '') =>
      `'${this.bin}/pg_combinebackup' ${options} ${numbers.map((number) => `'${from}/${number}'`).join(' ')} -o '${output}'`;
    const peer = (/** @type {string} */ name, /** @type {string} */ command) => ({
      name,
      run: () => this.#combine(command, output),
    });
    all.push(peer('pg_combinebackup, plain', combine(this.folder)));
    all.push(peer('pg_combinebackup --copy-file-range', combine(this.folder, '--copy-file-range')));
    const unpacked = path.join(this.folder, 'unpacked');
    const unpack = numbers.map(
      (number) =>
        `mkdir -p '${unpacked}/${number}' && zstd -dcq '${this.folder}/${number}.tar/base.tar.zst' | tar x -C '${unpacked}/${number}' && cp '${this.folder}/${number}.tar/backup_manifest' '${unpacked}/${number}'`,
    );
    if (this.tars && this.#hasRoom()) {
      all.push(peer('zstd -d | tar x, then pg_combinebackup', [...unpack, combine(unpacked)].join(' && ')));
    }
    return all;
  }

  /** Whether everything can be unpacked once more, and combined. */
  #hasRoom() {
    const { bsize, bavail } = statfsSync(this.folder);
    const wanted = this.plain.reduce((sum, size) => sum + size, 0) + 1.2 * (this.plain[0] ?? 0) + RESERVE;
    return bsize * bavail > wanted;
  }

  /** @returns {Promise<Restored>} */
  async #restore() {
    const { pgmoneta } = this.scene;
    await this.settle();
    pgmoneta.clearRestored();
    const cost = await product(this.scene, ['restore', 'primary', 'newest', pgmoneta.restored]);
    const [name = ''] = readdirSync(pgmoneta.restored);
    const directory = path.join(pgmoneta.restored, name);
    const size = sizeOf(directory);
    const start = await firstConnection(directory);
    pgmoneta.clearRestored();
    return { ...cost, size, start };
  }

  /** @param {string} command @param {string} output @returns {Promise<Restored>} */
  async #combine(command, output) {
    await this.settle();
    mkdirSync(this.folder, { recursive: true });
    const cost = await shell(command, undefined);
    const size = sizeOf(output);
    give(output);
    await shell(`chown -R --reference='${output}' '${output}'`, undefined);
    const start = await firstConnection(output);
    for (const name of ['output', 'unpacked']) rmSync(path.join(this.folder, name), { recursive: true, force: true });
    return { ...cost, size, start };
  }
}

/** Seconds until a server on a restored directory takes its first connection; it is stopped again. @param {string} directory */
async function firstConnection(directory) {
  const start = performance.now();
  const server = await startExisting(17, directory, RESTORED);
  const taken = (performance.now() - start) / 1000;
  await server.remove();
  return taken;
}
