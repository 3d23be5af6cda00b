/** Databases with everything in them that a backup can get wrong. */
import { identifier, literal } from './sql.mjs';

/** A database whose name needs quoting everywhere. */
export const ODD_DATABASE = 'Größe "x" \'y\' & $HOME';

/** A table whose name, column and schema need quoting. */
const ODD_TABLE = `${identifier('Mixed Case; schema')}.${identifier('quo"te\'d %s \\ table')}`;

/**
 * @typedef {object} WorkloadOptions
 * @property {number} [rows] rows of the main table; the default makes about 10 MB
 * @property {boolean} [tablespaces] two tablespaces, one with blanks in name and directory
 * @property {boolean} [big] a relation above 1 GiB (two segments); mostly empty pages, so it is cheap
 */

const TYPES = `
CREATE TABLE main_table (
  id bigint PRIMARY KEY, name text, number numeric, payload jsonb, tags int[], place point, span int4range,
  noise bytea, moment timestamptz DEFAULT '2026-01-01 00:00:00+00'
);
CREATE INDEX by_hash ON main_table USING hash (name);
CREATE INDEX by_gin ON main_table USING gin (payload);
CREATE INDEX by_gist ON main_table USING gist (place);
CREATE INDEX by_spgist ON main_table USING spgist (span);
CREATE INDEX by_brin ON main_table USING brin (moment);
CREATE UNIQUE INDEX by_expression ON main_table (lower(name), id) WHERE id > 10;
CREATE TABLE empty_table (id int PRIMARY KEY, t text);
CREATE UNLOGGED TABLE unlogged_table (id int PRIMARY KEY, t text);
CREATE TABLE toasted (id int PRIMARY KEY, body text);
ALTER TABLE toasted ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE parted (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE SEQUENCE a_sequence START 4711 INCREMENT 3;
CREATE SCHEMA ${identifier('Mixed Case; schema')};
CREATE TABLE ${ODD_TABLE} (${identifier('select')} int, ${identifier('Ünïcode "col"')} text);
`;

/** @param {number} rows */
const rowsSql = (rows) => `
SELECT setseed(0.42);
INSERT INTO main_table
SELECT i, 'name ' || i, i * 1.5, jsonb_build_object('i', i, 'k', md5(i::text)), ARRAY[i, i % 7], point(i % 360, i % 180),
       int4range(i, i + 10), decode(md5(i::text) || md5((i * 17)::text) || md5((i * 31)::text), 'hex')
FROM generate_series(1, ${rows}) i;
INSERT INTO unlogged_table SELECT i, 'gone after a restore' FROM generate_series(1, 1000) i;
INSERT INTO toasted SELECT i, repeat(md5(i::text), 2000) FROM generate_series(1, 40) i;
INSERT INTO parted SELECT i, chr(97 + i % 3) FROM generate_series(1, 3000) i;
INSERT INTO ${ODD_TABLE} SELECT i, 'it''s "odd" \\ ' || i FROM generate_series(1, 500) i;
SELECT nextval('a_sequence') FROM generate_series(1, 100);
SELECT lo_from_bytea(0, decode(repeat(md5(i::text), 4000), 'hex')) FROM generate_series(1, 10) i;
DELETE FROM main_table WHERE id % 10 = 3;
UPDATE main_table SET number = number + 1 WHERE id % 10 = 5;
`;

/**
 * One row per page and 140,000 pages: more than 1 GiB of relation, hence a second segment, from 100 MB of data.
 */
const BIG = `
CREATE TABLE big_table (id int, filler char(700)) WITH (fillfactor = 10, autovacuum_enabled = off);
INSERT INTO big_table SELECT i, md5(i::text) FROM generate_series(1, 140000) i;
`;

/**
 * Fills a server and leaves it checkpointed.
 * @param {import('./server.mjs').Server} server
 * @param {WorkloadOptions} [options]
 */
export async function buildWorkload(server, options = {}) {
  await server.sql(TYPES);
  await server.sql(rowsSql(options.rows ?? 20_000));
  await server.sql('CREATE MATERIALIZED VIEW summary AS SELECT region, count(*) FROM parted GROUP BY region');
  if (options.big) await server.sql(BIG);
  await server.sql(`CREATE DATABASE ${identifier(ODD_DATABASE)}`);
  await server.sql(`CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 2000) i`, ODD_DATABASE);
  await server.sql(`ALTER DATABASE ${identifier(ODD_DATABASE)} SET work_mem = '5MB'`);
  if (options.tablespaces ?? true) await buildTablespaces(server);
  await server.sql('VACUUM');
  await server.sql('CHECKPOINT');
}

/** Two tablespaces with tables, an index and one database's whole content. @param {import('./server.mjs').Server} server */
async function buildTablespaces(server) {
  await server.createTablespace('fast');
  await server.createTablespace('Slow & "odd" space', 'ts with blanks');
  const odd = identifier('Slow & "odd" space');
  await server.sql(`
    CREATE TABLE in_fast (id int PRIMARY KEY USING INDEX TABLESPACE ${odd}, t text) TABLESPACE fast;
    INSERT INTO in_fast SELECT i, md5(i::text) FROM generate_series(1, 20000) i;
    CREATE UNLOGGED TABLE unlogged_in_fast (id int) TABLESPACE fast;
    INSERT INTO unlogged_in_fast SELECT generate_series(1, 100);
    CREATE TABLE empty_in_odd (id int) TABLESPACE ${odd};
    CREATE TABLE in_odd TABLESPACE ${odd} AS SELECT i, repeat('z', 100) AS z FROM generate_series(1, 5000) i;
  `);
  await server.sql(`CREATE DATABASE in_space TABLESPACE fast`);
  await server.sql(`CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i`, 'in_space');
}

/** Rows of about 8 kB that cannot be compressed. @param {import('./server.mjs').Server} server @param {number} megabytes */
export async function addNoise(server, megabytes) {
  await server.sql(`
    CREATE TABLE IF NOT EXISTS noise (id serial, body bytea);
    ALTER TABLE noise ALTER COLUMN body SET STORAGE EXTERNAL;
    INSERT INTO noise (body)
    SELECT (SELECT string_agg(sha256((i * 1000 + j)::text::bytea), ''::bytea) FROM generate_series(1, 250) j)
    FROM generate_series(1, ${megabytes * 128}) i;
    CHECKPOINT;
  `);
}

/** Text that a fault-injecting proxy can find in the stream. */
export const MARKER = 'MARKER-0123456789-MARKER';

/** A table full of markers. @param {import('./server.mjs').Server} server */
export async function addMarkers(server) {
  await server.sql(
    `CREATE TABLE markers AS SELECT i, ${literal(MARKER)} AS m FROM generate_series(1, 20000) i; CHECKPOINT`,
  );
}
