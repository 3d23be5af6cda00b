/** A table whose rows are transactions with everything by which a recovery can find them. */
import { literal } from './sql.mjs';
import { lsnNumber } from './wal.mjs';

/** @typedef {import('./server.mjs').Server} Server */
/**
 * @typedef {object} Mark a row and the transaction that wrote it
 * @property {number} id
 * @property {string} xid
 * @property {string} time commit, with six digits of a second, in UTC
 * @property {string} before end of the WAL before the transaction wrote anything
 * @property {string} commit begin of its commit record
 * @property {string} after end of its commit record
 */

/** A commit record of a transaction without anything special, with its alignment. */
const COMMIT_RECORD = 40n;

/** Makes the table. @param {Server} server @param {string} [tablespace] */
export async function createMarks(server, tablespace) {
  await server.sql(
    `CREATE TABLE marks (id int PRIMARY KEY, filler text)${tablespace ? ` TABLESPACE ${tablespace}` : ''}; CHECKPOINT`,
  );
}

/** Adds a row in a transaction of its own. @param {Server} server @param {number} id @returns {Promise<Mark>} */
export async function mark(server, id) {
  const session = await server.connect();
  const position = async () => /** @type {string} */ (await session.value('SELECT pg_current_wal_insert_lsn()'));
  try {
    for (;;) {
      const before = await position();
      await session.query(`BEGIN; INSERT INTO marks VALUES (${id}, repeat('x', 100))`);
      const xid = /** @type {string} */ (await session.value('SELECT pg_current_xact_id()'));
      const commit = await position();
      await session.query('COMMIT');
      const after = await position();
      if (lsnNumber(after) - lsnNumber(commit) === COMMIT_RECORD) {
        const time = /** @type {string} */ (await commitTime(server, xid));
        return { id, xid, time, before, commit, after };
      }
      // Somebody else wrote between the two, or a page ended: that does not tell where the commit is.
      await session.query(`DELETE FROM marks WHERE id = ${id}`);
    }
  } finally {
    await session.end();
  }
}

/** When a transaction committed; the server has to have track_commit_timestamp. @param {Server} server @param {string} xid */
export function commitTime(server, xid) {
  const time = `pg_xact_commit_timestamp(${literal(xid)}::xid) AT TIME ZONE 'UTC'`;
  return server.value(`SELECT to_char(${time}, 'YYYY-MM-DD HH24:MI:SS.US') || '+00'`);
}

/** The rows that there are. @param {Server} server @returns {Promise<number[]>} */
export async function marksIn(server) {
  return (await server.sql('SELECT id FROM marks ORDER BY id')).map(([id]) => Number(id));
}

/** Makes a restore point; gives its position. @param {Server} server @param {string} name */
export async function restorePoint(server, name) {
  return /** @type {string} */ (await server.value(`SELECT pg_create_restore_point(${literal(name)})`));
}
