#!/usr/bin/env node
/**
 * The whole story on an embedded PostgreSQL 17: a cluster with data, master key, user, configuration, daemon, full
 * backup, changes, incremental backup, list, info, verify, restore of the chain, and the restored cluster compared with
 * its source, row for row.
 * Everything lies in a temporary directory; nothing is left running, whatever happens.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Failure, must, ROOT, script } from './lib/run.mjs';
import { compare, Story } from './lib/story.mjs';

const USAGE = `Usage: npm run demo [-- --keep]
  --keep   leave the temporary directories behind
`;
const MASTER_KEY = 'a master key for the demo';
const PASSWORD = 'a password for the demo';

/** @typedef {import('../test/support/pgmoneta.mjs').Pgmoneta} Pgmoneta */
/** @typedef {import('../test/support/server.mjs').Server} Server */

const story = new Story();

/**
 * Runs a program of the product, showing command and output.
 * @param {Pgmoneta} pgmoneta
 * @param {import('../test/support/programs.mjs').ProgramName} program @param {string[]} args
 */
async function show(pgmoneta, program, args) {
  story.command([program, ...args]);
  const result = await pgmoneta.program(program, args);
  story.output(result.stdout);
  if (result.exit === 0) return result;
  story.output(result.stderr);
  throw new Failure(
    `${program} ended with exit code ${result.exit}`,
    `the daemon's log ends with:\n${pgmoneta.logTail(15)}`,
  );
}

/** @param {Server} server */
async function fill(server) {
  const { addNoise, buildWorkload } = await import('../test/support/workload.mjs');
  await buildWorkload(server, { rows: 30_000 });
  await addNoise(server, 48);
  const size = await server.value('SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database');
  story.line(
    `   ${size}: every kind of index, large objects, two tablespaces, unlogged tables, names that need quoting`,
  );
}

/** @param {Pgmoneta} pgmoneta @param {string} user */
async function prepare(pgmoneta, user) {
  await story.step('A master key and the password of the PostgreSQL user, both encrypted', async () => {
    await show(pgmoneta, 'pgmoneta-admin', ['master-key', '-P', MASTER_KEY]);
    await show(pgmoneta, 'pgmoneta-admin', ['-f', pgmoneta.users, '-U', user, '-P', PASSWORD, 'user', 'add']);
  });
  await story.step('The configuration', async () => {
    pgmoneta.configure();
    story.command(['cat', pgmoneta.configuration]);
    story.output(readFileSync(pgmoneta.configuration, 'utf8'));
  });
  await story.step('The daemon', async () => {
    story.command(['pgmoneta', '-c', pgmoneta.configuration, '-u', pgmoneta.users]);
    await pgmoneta.start();
    await show(pgmoneta, 'pgmoneta-cli', ['-c', pgmoneta.configuration, 'ping']);
  });
}

/** What happens between two backups. @param {Server} server */
async function change(server) {
  await server.sql('UPDATE main_table SET number = number + 1 WHERE id % 50 = 0');
  await server.sql('DELETE FROM toasted WHERE id > 30');
  await server.sql('VACUUM toasted');
  await server.sql('CREATE TABLE later TABLESPACE fast AS SELECT i, md5(i::text) FROM generate_series(1, 5000) i');
}

/** @param {Pgmoneta} pgmoneta @param {Server} source */
async function backUp(pgmoneta, source) {
  const cli = (/** @type {string[]} */ ...args) =>
    show(pgmoneta, 'pgmoneta-cli', ['-c', pgmoneta.configuration, ...args]);
  await story.step('A full backup, zstd and AES-256-GCM', () => cli('backup', 'primary'));
  await story.step('Some rows change, some go, a table comes', () => change(source));
  await story.step('An incremental backup: what has changed since', () => cli('backup', 'primary', 'newest'));
  await story.step('What there is', () => cli('list-backup', 'primary'));
  await story.step('The details of the newest', () => cli('info', 'primary', 'newest'));
  await story.step('Every stored byte verified, without restoring', () => cli('verify', 'primary', 'newest'));
  await story.step('The restore of the incremental backup, combined with the full one on the way', () =>
    cli('restore', 'primary', 'newest', pgmoneta.restored),
  );
  const label = pgmoneta.backupsOnDisk().at(-1);
  return path.join(pgmoneta.restored, `primary-${label}`);
}

/** @param {Server} source @param {string} directory */
async function judge(source, directory) {
  const { amcheck, checksumEveryTable } = await import('../test/support/compare.mjs');
  const { startExisting } = await import('../test/support/server.mjs');
  const restored = await story.step('The restored cluster starts', async () => {
    story.command(['postgres', '-D', directory]);
    return startExisting(17, directory);
  });
  await story.step('Is it the same, row for row?', async () => {
    const tables = compare(await checksumEveryTable(source), await checksumEveryTable(restored));
    story.line(`   yes: row counts and checksums of ${tables} tables in all databases are equal`);
    const found = await amcheck(restored);
    if (found.length > 0) throw new Failure(`amcheck found damage: ${found.slice(0, 5).join('; ')}`);
    story.line('   amcheck found no damage in any index or table');
  });
  await restored.remove();
}

async function tell() {
  const { startServer } = await import('../test/support/server.mjs');
  const { Pgmoneta, section } = await import('../test/support/pgmoneta.mjs');
  const source = await story.step('A PostgreSQL 17 server', async () => {
    const server = await startServer(17, { settings: { summarize_wal: 'on' } });
    story.line(
      `   ${await server.value('SHOW server_version')} on ${server.host}:${server.port}, data in ${server.data}`,
    );
    return server;
  });
  await story.step('Real data', () => fill(source));
  const role = await source.createReplicationRole('backup_user', PASSWORD);
  const pgmoneta = new Pgmoneta({ compression: 'zstd', encryption: 'aes-256-gcm' }, [section(source, role)]);
  await prepare(pgmoneta, role.name);
  const directory = await backUp(pgmoneta, source);
  await judge(source, directory);
  await story.step('The daemon stops', async () => {
    await show(pgmoneta, 'pgmoneta-cli', ['-c', pgmoneta.configuration, 'shutdown']);
    await pgmoneta.stop();
  });
  await source.stop();
}

async function main() {
  const args = process.argv.slice(2);
  if (args.some((arg) => arg !== '--keep')) {
    process.stderr.write(USAGE);
    return args.includes('--help') || args.includes('-?') ? 0 : 2;
  }
  if (args.includes('--keep')) process.env.PGMONETA_TEST_KEEP = '1';
  await story.step('Setting up', async () => {
    await must(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), '--servers'], { echo: true });
  });
  await tell();
  story.summary();
  story.line('\nEverything is as it should be. Nothing is left running.');
  return 0;
}

await script('demo', main);
// Undo steps (servers, daemon, directories) run at exit; a socket that lingers must not hold that up.
process.exit();
