/** A server with data and an installation of the product that backs it up: where most tests start. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { amcheck, checksumEveryTable, unloggedRows } from './compare.mjs';
import { checkLoad } from './load.mjs';
import { Pgmoneta, section } from './pgmoneta.mjs';
import { startExisting, startServer } from './server.mjs';
import { buildWorkload } from './workload.mjs';

/**
 * @typedef {object} SceneOptions
 * @property {import('./workload.mjs').WorkloadOptions | false} [workload] false: an empty server
 * @property {import('./server.mjs').ServerOptions} [server]
 * @property {import('./pgmoneta.mjs').Settings} [settings] keys of [pgmoneta]
 * @property {import('./pgmoneta.mjs').Settings} [section] keys of the server's section
 * @property {boolean} [start] false: the daemon is not started
 */

/** Password of the role that takes backups: everything that could trip a parser. */
const PASSWORD = `p#s;s'w"o\\rd = ünïcode $HOME`;

export class Scene {
  /**
   * @param {import('./server.mjs').Server} server
   * @param {Pgmoneta} pgmoneta
   * @param {{name: string, password: string}} role
   */
  constructor(server, pgmoneta, role) {
    this.server = server;
    this.pgmoneta = pgmoneta;
    this.role = role;
  }

  /** @param {number} major @param {SceneOptions} [options] */
  static async open(major, options = {}) {
    const server = await startServer(major, options.server);
    if (options.workload !== false) await buildWorkload(server, options.workload);
    const role = await server.createReplicationRole('backup user', PASSWORD);
    const pgmoneta = await Pgmoneta.create([section(server, role, options.section)], options.settings);
    const scene = new Scene(server, pgmoneta, role);
    if (options.start !== false) await pgmoneta.start();
    return scene;
  }

  /** Stops everything and removes it. */
  async close() {
    await this.pgmoneta.remove();
    await this.server.remove();
  }

  /** Changes settings of [pgmoneta] and starts the daemon anew. @param {import('./pgmoneta.mjs').Settings} settings */
  async reconfigure(settings) {
    await this.pgmoneta.stop();
    this.pgmoneta.configure(settings);
    await this.pgmoneta.start();
  }
}

/**
 * @typedef {object} Expectation what a restored cluster has to be
 * @property {Record<string, string>} checksums of the source
 * @property {string[]} [except] tables that were not compared
 * @property {{atLeast: number, atMost: number}} [load] bounds of the write load
 * @property {import('./server.mjs').ServerOptions} [options] for starting it
 */

/**
 * Starts a restored cluster and lists everything that is not as it should be; an empty list is the proof.
 * @param {number} major @param {string} directory @param {Expectation} expected
 * @returns {Promise<string[]>}
 */
export async function proveRestored(major, directory, expected) {
  const restored = await startExisting(major, directory, expected.options);
  try {
    const problems = [];
    if ((await restored.value('SELECT pg_is_in_recovery()')) !== 'f') problems.push('it is still in recovery');
    const found = await checksumEveryTable(restored, { except: expected.except ?? [] });
    for (const name of new Set([...Object.keys(expected.checksums), ...Object.keys(found)])) {
      if (found[name] !== expected.checksums[name]) {
        problems.push(`${name}: ${found[name] ?? 'missing'} instead of ${expected.checksums[name] ?? 'nothing'}`);
      }
    }
    for (const [table, rows] of Object.entries(await unloggedRows(restored))) {
      if (rows !== 0) problems.push(`unlogged table ${table} has ${rows} rows`);
      await restored.sql(`INSERT INTO ${table} (id) VALUES (1)`);
    }
    if (expected.load) problems.push(...(await checkLoad(restored, expected.load)));
    problems.push(...(await amcheck(restored)));
    await restored.sql('CREATE TABLE written_after_restore (id int); CHECKPOINT');
    return problems;
  } finally {
    await restored.remove();
  }
}

/** Removes a restored cluster with the tablespaces beside it. @param {string} directory */
export function removeRestored(directory) {
  rmSync(path.dirname(directory), { recursive: true, force: true });
}
