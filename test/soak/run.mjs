#!/usr/bin/env node
/**
 * Keeps a write load, backups, restores to random moments and kills going for a time, and ends with figures. Every
 * commit that a client was told of has to be in every restore to a moment behind it.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { Failure, must, ROOT, script } from '../../scripts/lib/run.mjs';

const USAGE = `Usage: npm run soak [-- --minutes N] [--major N]
  --minutes  how long, default 30
  --major    version of PostgreSQL, 14 to 18, default 17
`;

/** @param {string} line */
const say = (line) => process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {string[]} args */
function parse(args) {
  const options = { minutes: 30, major: 17 };
  for (let n = 0; n < args.length; n += 2) {
    const name = (args[n] ?? '').replace(/^--/, '');
    const value = Number(args[n + 1]);
    if (!Object.hasOwn(options, name) || !(value > 0)) return undefined;
    options[/** @type {'minutes' | 'major'} */ (name)] = value;
  }
  return options;
}

/** A commit that was answered: its number, and the position behind it. @typedef {{n: number, lsn: string}} Mark */

class Soak {
  /** @type {Mark[]} */
  marks = [];
  figures = { commits: 0, backups: 0, deleted: 0, restores: 0, 'kills of the daemon': 0, 'crashes of the server': 0 };
  stop = false;

  /** @param {import('../support/scene.mjs').Scene} scene @param {number} major */
  constructor(scene, major) {
    this.scene = scene;
    this.major = major;
  }

  /** One client; goes on through crashes of the server. */
  async write() {
    const { server } = this.scene;
    while (!this.stop) {
      try {
        const session = await server.connect();
        try {
          while (!this.stop) {
            const n = this.figures.commits + 1;
            await session.query(`INSERT INTO kept VALUES (${n}, repeat(md5('${n}'), ${n % 50 === 0 ? 3000 : 3}))`);
            this.figures.commits = n;
            const [row] = await session.query('SELECT pg_current_wal_insert_lsn()');
            this.marks.push({ n, lsn: String(row?.[0]) });
            if (this.marks.length > 5000) this.marks.splice(0, 1000);
          }
        } finally {
          await session.end().catch(() => {});
        }
      } catch {
        await sleep(200);
        // What was in flight when the server died may have been committed or not.
        if (!this.stop && server.running) await this.settle().catch(() => {});
      }
    }
  }

  async settle() {
    const last = Number(await this.scene.server.value('SELECT coalesce(max(n), 0) FROM kept'));
    if (last < this.figures.commits) throw new Failure(`the server itself lost commit ${this.figures.commits}`);
    this.figures.commits = last;
  }

  /** @param {() => number} random */
  async act(random) {
    const { pgmoneta, server } = this.scene;
    const choice = random();
    if (choice < 0.2) {
      await pgmoneta.backup();
      this.figures.backups++;
    } else if (choice < 0.3 && pgmoneta.backupsOnDisk().length > 3) {
      await pgmoneta.must('delete', 'primary', 'oldest');
      this.figures.deleted++;
    } else if (choice < 0.5) {
      await pgmoneta.kill();
      await sleep(random() * 500);
      await pgmoneta.start();
      this.figures['kills of the daemon']++;
    } else if (choice < 0.6) {
      await server.stop(random() < 0.5 ? 'immediate' : 'fast');
      await server.start();
      this.figures['crashes of the server']++;
    } else if (pgmoneta.backupsOnDisk().length > 0) await this.restore(random);
  }

  /** Restores to a random commit and looks whether everything before it is there, and nothing behind it. @param {() => number} random */
  async restore(random) {
    const { startExisting } = await import('../support/server.mjs');
    const { caughtUp } = await import('../support/wal.mjs');
    const { pgmoneta, server } = this.scene;
    const mark = this.marks[Math.floor(random() * this.marks.length)];
    if (mark === undefined) return;
    await caughtUp(server, pgmoneta);
    const directory = path.join(pgmoneta.restored, `to${mark.n}`);
    const result = await pgmoneta.json('restore', 'primary', 'newest', `lsn=${mark.lsn},action=promote`, directory);
    if (result.exit !== 0) {
      // Before the end of the oldest backup nothing can be restored; that is no loss.
      if (/before the end|no backup|oldest/i.test(result.document?.Outcome?.Message ?? '')) return;
      throw new Failure(`restore to ${mark.lsn}: ${result.stdout}${result.stderr}`);
    }
    const restored = await startExisting(
      this.major,
      path.join(directory, `primary-${result.document.Response.Backup}`),
    );
    try {
      while ((await restored.value('SELECT pg_is_in_recovery()')) === 't') await sleep(100);
      const missing = await restored.value(
        `SELECT count(*) FROM generate_series(1, ${mark.n}) g WHERE NOT EXISTS (SELECT 1 FROM kept WHERE n = g)`,
      );
      const surplus = await restored.value(`SELECT count(*) FROM kept WHERE n > ${mark.n + 1}`);
      if (missing !== '0' || surplus !== '0') {
        throw new Failure(`restored to commit ${mark.n} (${mark.lsn}): ${missing} missing, ${surplus} too many`);
      }
      this.figures.restores++;
    } finally {
      await restored.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  }
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (!options) {
    process.stderr.write(USAGE);
    return 2;
  }
  await must(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), '--servers', '--quiet'], { echo: true });
  const { Scene } = await import('../support/scene.mjs');
  const { seeded } = await import('../support/random.mjs');
  const { proveArchive, caughtUp, walStatus } = await import('../support/wal.mjs');
  const random = seeded('soak');
  const scene = await Scene.open(options.major, {
    workload: false,
    server: { initdb: ['--wal-segsize=1'], durable: true },
    settings: { encryption: 'aes-256-gcm' },
  });
  try {
    await scene.server.sql('CREATE TABLE kept (n bigint PRIMARY KEY, body text)');
    await scene.pgmoneta.backup();
    const soak = new Soak(scene, options.major);
    const writing = soak.write();
    const end = performance.now() + options.minutes * 60_000;
    let reported = performance.now();
    while (performance.now() < end) {
      await sleep(random() * 1000);
      await soak.act(random);
      if (performance.now() - reported > 60_000) {
        reported = performance.now();
        say(
          Object.entries(soak.figures)
            .map(([name, value]) => `${value} ${name}`)
            .join(', '),
        );
      }
    }
    soak.stop = true;
    await writing;
    await caughtUp(scene.server, scene.pgmoneta);
    await soak.restore(() => 0.999);
    const found = await proveArchive(scene.pgmoneta, { major: options.major, segmentSize: 1024 * 1024 });
    if (found.problems.length > 0) throw new Failure(`the archive: ${found.problems.join('; ')}`);
    const state = await walStatus(scene.pgmoneta);
    say(
      `done: ${Object.entries(soak.figures)
        .map(([name, value]) => `${value} ${name}`)
        .join(', ')}`,
    );
    say(`WAL: ${found.segments} segments whole up to ${found.end}, ${state.WalSize} on disk; nothing was lost`);
    return 0;
  } finally {
    await scene.close();
  }
}

await script('soak', main);
process.exit();
