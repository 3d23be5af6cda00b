/** The image of a cluster as a base backup contains it, taken with SQL and file copies: no part of the product in it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

/** @typedef {{path: string, content: Buffer}} ImageFile path relative to the data directory */
/** @typedef {{oid: string, name: string, location: string}} Tablespace */
/**
 * @typedef {object} Image
 * @property {ImageFile[]} files those that the manifest lists, tablespaces as pg_tblspc/<oid>/...
 * @property {ImageFile[]} wal
 * @property {string[]} directories @property {Tablespace[]} tablespaces
 * @property {Buffer} manifest @property {string} startLsn @property {string} endLsn @property {string} checkpointLsn
 */

/** Directories whose content a base backup leaves out. */
const EMPTY = [
  'pg_wal',
  'pg_stat_tmp',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
];
const LEFT_OUT = /(^|\/)(postmaster\.(pid|opts)|pg_internal\.init(\.\d+)?|pgsql_tmp.*|current_logfiles)$/;

/** @param {string} data @param {string} folder @param {Pick<Image, 'files' | 'directories'>} image */
function walk(data, folder, image) {
  for (const name of readdirSync(path.join(data, folder)).sort()) {
    const relative = path.join(folder, name);
    if (LEFT_OUT.test(relative)) continue;
    if (statSync(path.join(data, relative)).isDirectory()) {
      image.directories.push(relative);
      if (!EMPTY.includes(relative)) walk(data, relative, image);
    } else image.files.push({ path: relative, content: readFileSync(path.join(data, relative)) });
  }
}

/** Names of the WAL segments (16 MiB) from one position to another, on timeline 1. @param {string} from @param {string} to */
function segments(from, to) {
  const number = (/** @type {string} */ lsn) => {
    const [high = '0', low = '0'] = lsn.split('/');
    return (BigInt(`0x${high}`) << 8n) + (BigInt(`0x${low}`) >> 24n);
  };
  const hex = (/** @type {bigint} */ value) => value.toString(16).toUpperCase().padStart(8, '0');
  const names = [];
  // The last byte before the end position is what has to be there.
  for (let n = number(from); n <= number(to); n++) names.push(`00000001${hex(n >> 8n)}${hex(n & 0xffn)}`);
  return names;
}

/**
 * PostgreSQL's own manifest, with SHA-512 as pgmoneta (C) asks for it.
 * @param {ImageFile[]} files @param {{systemIdentifier: string, major: number, startLsn: string, endLsn: string}} facts
 */
function manifestOf(files, facts) {
  const lines = files.map(({ path: name, content }) => {
    const sum = createHash('sha512').update(content).digest('hex');
    return `{ "Path": ${JSON.stringify(name)}, "Size": ${content.length}, "Last-Modified": "2026-01-02 03:04:05 GMT", "Checksum-Algorithm": "SHA512", "Checksum": "${sum}" }`;
  });
  const head = facts.major >= 17 ? `2,\n"System-Identifier": ${facts.systemIdentifier},` : '1,';
  const range = `{ "Timeline": 1, "Start-LSN": "${facts.startLsn}", "End-LSN": "${facts.endLsn}" }`;
  const body = `{ "PostgreSQL-Backup-Manifest-Version": ${head}\n"Files": [\n${lines.join(',\n')}\n],\n"WAL-Ranges": [\n${range}\n],\n"Manifest-Checksum": "`;
  return Buffer.from(
    `${body}${createHash('sha256').update(body.slice(0, -'"Manifest-Checksum": "'.length)).digest('hex')}"}\n`,
  );
}

/**
 * Takes the image of a server that nobody writes to.
 * @param {import('./server.mjs').Server} server @param {string} label
 * @returns {Promise<Image>}
 */
export async function takeImage(server, label) {
  const session = await server.connect();
  const modern = server.major >= 15;
  const startLsn = String(
    await session.value(
      modern ? `SELECT pg_backup_start('${label}', true)` : `SELECT pg_start_backup('${label}', true, false)`,
    ),
  );
  /** @type {Pick<Image, 'files' | 'directories'>} */
  const found = { files: [], directories: [] };
  walk(server.data, '.', found);
  const [row = []] = await session.query(
    `SELECT lsn, labelfile FROM ${modern ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)'}`,
  );
  const endLsn = String(row[0]);
  const labelFile = String(row[1]);
  const [facts = []] = await session.query('SELECT system_identifier FROM pg_control_system()');
  const spaces = await session.query(
    `SELECT oid, spcname FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')`,
  );
  await session.end();
  const files = [{ path: 'backup_label', content: Buffer.from(labelFile) }, ...found.files];
  const names = segments(startLsn, endLsn);
  return {
    files,
    directories: found.directories,
    wal: names.map((name) => ({
      path: `pg_wal/${name}`,
      content: readFileSync(path.join(server.data, 'pg_wal', name)),
    })),
    tablespaces: spaces.map(([oid, name]) => ({
      oid: String(oid),
      name: String(name),
      location: readlinkSync(path.join(server.data, 'pg_tblspc', String(oid))),
    })),
    manifest: manifestOf(files, { systemIdentifier: String(facts[0]), major: server.major, startLsn, endLsn }),
    startLsn,
    endLsn,
    checkpointLsn: /CHECKPOINT LOCATION: (\S+)/.exec(labelFile)?.[1] ?? '',
  };
}
