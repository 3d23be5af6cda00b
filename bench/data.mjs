/** A database of realistic entropy: about half pgbench-like pages, rows of an application, and noise. */

/** Shares of the whole, by how they compress at zstd level 3. */
const SHARES = { repetitive: 0.4, application: 0.43, noise: 0.17 };

/** Phrases of invented words, from which texts are put together by joins: a lookup per word would take minutes. */
const PHRASES = `
CREATE TABLE phrases AS
SELECT i, string_agg(substr(translate(encode(sha256((i * j % 3001)::text::bytea), 'base64'), '+/=', 'aei'), 1, (3 + (i * j) % 9)::int), ' ') AS p
FROM generate_series(0::bigint, 19999) i, (VALUES (7919), (104729), (611953)) AS w (j) GROUP BY i;
ANALYZE phrases;
`;

/** @param {number} bytes of the table and its primary key */
const repetitive = (bytes) => `
CREATE TABLE accounts (aid int, bid int, abalance int, filler char(84));
INSERT INTO accounts SELECT i, i / 100000, 0, '' FROM generate_series(1, ${Math.round(bytes / 150)}) i;
ALTER TABLE accounts ADD PRIMARY KEY (aid);
`;

/** @param {number} bytes */
const application = (bytes) => `
CREATE TABLE orders (
  id bigint, customer int, placed timestamptz, status text, amount numeric(12, 2), reference uuid, note text, detail jsonb
);
INSERT INTO orders
SELECT g.n, (random() * 200000)::int, '2024-01-01'::timestamptz + g.n * interval '7 seconds' + random() * interval '5 seconds',
       (ARRAY['new', 'paid', 'packed', 'shipped', 'delivered', 'returned'])[1 + (random() * random() * 5.99)::int],
       round((random() * random() * 2000)::numeric, 2), gen_random_uuid(), concat_ws(' ', a.p, b.p, c.p),
       jsonb_build_object('items', (random() * 9)::int, 'country', (ARRAY['DE', 'FR', 'US', 'JP', 'BR'])[1 + (random() * 4)::int],
                          'express', random() < 0.2, 'weight', (random() * 20000)::int, 'channel', 'web')
FROM generate_series(1::bigint, ${Math.round(bytes / 390)}) AS g (n)
JOIN phrases a ON a.i = g.n * 7919 % 20000
JOIN phrases b ON b.i = g.n / 3 * 104729 % 20000
JOIN phrases c ON c.i = g.n * g.n % 20000;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX ON orders (customer);
`;

/** @param {number} bytes */
const noise = (bytes) => `
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE TABLE noise (id int, body bytea);
ALTER TABLE noise ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO noise SELECT i, gen_random_bytes(1024) || gen_random_bytes(1024) || gen_random_bytes(1024) || gen_random_bytes(1024)
  || gen_random_bytes(1024) || gen_random_bytes(1024) || gen_random_bytes(1024) || gen_random_bytes(1024)
FROM generate_series(1, ${Math.round(bytes / 8700)}) i;
`;

/**
 * Fills an empty server.
 * @param {import('../test/support/server.mjs').Server} server
 * @param {number} megabytes size of the whole, roughly
 */
export async function generate(server, megabytes) {
  const bytes = megabytes * 1024 * 1024;
  await server.sql(PHRASES);
  await server.sql(repetitive(bytes * SHARES.repetitive));
  await server.sql(application(bytes * SHARES.application));
  await server.sql(noise(bytes * SHARES.noise));
  await server.sql('DROP TABLE phrases');
  await server.sql('VACUUM (FREEZE, ANALYZE)');
  await server.sql('CHECKPOINT');
  return Number(await server.value('SELECT sum(pg_database_size(oid)) FROM pg_database'));
}
