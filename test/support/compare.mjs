/** Is the restored server the same as its source, row for row, and sound? */
import { identifier } from './sql.mjs';

/** Catalogues compared beside the users' tables: large objects, roles, definitions. */
const CATALOGUES = [
  'pg_largeobject',
  'pg_largeobject_metadata',
  'pg_authid',
  'pg_db_role_setting',
  'pg_attrdef',
  'pg_constraint',
];

/** @param {import('./server.mjs').Server} server @returns {Promise<string[]>} */
async function databases(server) {
  const rows = await server.sql('SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1');
  return rows.map(([name]) => String(name));
}

/**
 * A checksum of every table, materialized view, sequence and of some catalogues in every database, independent of
 * the order of rows: number of rows and sum of their hashes. Unlogged tables are empty after a restore and left out.
 * @param {import('./server.mjs').Server} server
 * @param {{except?: string[]}} [options] table names to leave out
 * @returns {Promise<Record<string, string>>} by `database / schema.table`
 */
export async function checksumEveryTable(server, options = {}) {
  /** @type {Record<string, string>} */
  const result = {};
  for (const database of await databases(server)) {
    const session = await server.connect(database);
    try {
      await session.query("SET timezone = 'UTC'; SET extra_float_digits = 3; SET enable_indexscan = off");
      const tables = await session.query(`
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence = 'p'
          AND (n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
               OR n.nspname = 'pg_catalog' AND c.relname = ANY ('{${CATALOGUES}}'))
        ORDER BY 1, 2`);
      for (const [schema, table] of tables) {
        if (options.except?.includes(String(table))) continue;
        const name = `${identifier(String(schema))}.${identifier(String(table))}`;
        const [row = []] = await session.query(
          `SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM (SELECT * FROM ${name}) t`,
        );
        result[`${database} / ${schema}.${table}`] = row.join(':');
      }
    } finally {
      await session.end();
    }
  }
  return result;
}

/**
 * Rows found in unlogged tables; they must be empty after a restore, and usable.
 * @param {import('./server.mjs').Server} server
 * @returns {Promise<Record<string, number>>}
 */
export async function unloggedRows(server) {
  /** @type {Record<string, number>} */
  const result = {};
  const tables = await server.sql(`SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'`);
  for (const [name] of tables) result[String(name)] = Number(await server.value(`SELECT count(*) FROM ${name}`));
  return result;
}

const INDEXES = `
  SELECT c.oid, c.oid::regclass FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam
  WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence <> 't' AND i.indisready AND i.indisvalid`;
const HEAPS = `
  SELECT c.oid, c.oid::regclass FROM pg_class c JOIN pg_am a ON a.oid = c.relam
  WHERE a.amname = 'heap' AND c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p'`;

/**
 * amcheck over every database: each B-tree against its table, each heap and TOAST table page by page.
 * @param {import('./server.mjs').Server} server made writable by its promotion; the extension is created
 * @returns {Promise<string[]>} what amcheck found; empty is good
 */
export async function amcheck(server) {
  /** @type {string[]} */
  const found = [];
  for (const database of await databases(server)) {
    const session = await server.connect(database);
    try {
      await session.query('CREATE EXTENSION IF NOT EXISTS amcheck');
      for (const [oid, name] of await session.query(INDEXES)) {
        await session
          .query(`SELECT bt_index_parent_check(${oid}::oid::regclass, true, true)`)
          .catch((error) => found.push(`${database} ${name}: ${error.message}`));
      }
      for (const [oid, name] of await session.query(HEAPS)) {
        const rows = await session.query(`SELECT blkno, msg FROM verify_heapam(${oid}::oid::regclass)`);
        found.push(...rows.map(([block, message]) => `${database} ${name} block ${block}: ${message}`));
      }
    } finally {
      await session.end();
    }
  }
  return found;
}
