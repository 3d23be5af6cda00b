/** A bounded write load whose result can be proved from the restored database alone. */

const KEYS = 500;
const STRIDE = 7919;

/** Tables of the load; `checksumEveryTable` is told to leave them out. */
export const LOAD_TABLES = ['load_journal', 'load_state', 'load_growth'];

/**
 * One writer. Transaction n adds n to the value of key (n * 7919) mod 500, notes itself in a journal together with
 * the WAL position before it, and grows a table; so a restored copy is right when its journal has no gap and its
 * values are the sums of its journal, and complete when it reaches the end of the backup.
 */
export class WriteLoad {
  #stop = false;
  /** Transactions whose COMMIT was answered. */
  committed = 0;
  /** Transactions that were sent. */
  sent = 0;
  /** @type {Promise<void> | undefined} */
  #running;
  /** @type {Error | undefined} */
  failure;

  /**
   * @param {import('./server.mjs').Server} server
   * @param {{seconds?: number, transactions?: number}} [limits] it stops by itself at either
   */
  constructor(server, limits = {}) {
    this.server = server;
    this.limits = { seconds: limits.seconds ?? 90, transactions: limits.transactions ?? 50_000 };
  }

  /** Makes the tables and starts writing. */
  async start() {
    await this.server.sql(`
      CREATE TABLE load_journal (n bigint PRIMARY KEY, before_lsn pg_lsn, pad text);
      CREATE TABLE load_state (k int PRIMARY KEY, v bigint, pad text);
      CREATE TABLE load_growth (n bigint, body text);
      INSERT INTO load_state SELECT i, 0, '' FROM generate_series(0, ${KEYS - 1}) i;
    `);
    this.#running = this.#write();
    return this;
  }

  async #write() {
    const session = await this.server.connect();
    const end = performance.now() + this.limits.seconds * 1000;
    try {
      while (!this.#stop && this.sent < this.limits.transactions && performance.now() < end) {
        const n = ++this.sent;
        await session.query(`BEGIN;
          INSERT INTO load_journal VALUES (${n}, pg_current_wal_insert_lsn(), md5('${n}'));
          UPDATE load_state SET v = v + ${n}, pad = md5('${n}') WHERE k = ${(n * STRIDE) % KEYS};
          INSERT INTO load_growth SELECT ${n}, repeat(md5('${n}'), 20);
          COMMIT`);
        this.committed = n;
      }
    } catch (error) {
      this.failure = /** @type {Error} */ (error);
    } finally {
      await session.end();
    }
  }

  /** Stops writing and waits for the last answer. */
  async stop() {
    this.#stop = true;
    await this.#running;
  }

  /**
   * Transactions that a restore to the end of a backup must contain: those committed before `endLsn`. Transaction
   * n was committed before n + 1 noted its position.
   * @param {string} endLsn
   */
  async committedBefore(endLsn) {
    const value = await this.server.value(
      `SELECT coalesce(max(n), 1) - 1 FROM load_journal WHERE before_lsn <= '${endLsn}'::pg_lsn`,
    );
    return Number(value);
  }
}

/**
 * What is wrong with the load's tables in a restored server; an empty list when they are consistent.
 * @param {import('./server.mjs').Server} restored
 * @param {{atLeast: number, atMost: number}} bounds transactions that must and may be there
 * @returns {Promise<string[]>}
 */
export async function checkLoad(restored, bounds) {
  const problems = [];
  const [row = []] = await restored.sql('SELECT count(*), coalesce(min(n), 1), coalesce(max(n), 0) FROM load_journal');
  const [count = 0, low = 0, high = 0] = row.map(Number);
  if (low !== 1 || high !== count) problems.push(`journal has gaps: ${count} rows from ${low} to ${high}`);
  if (high < bounds.atLeast) problems.push(`journal ends at ${high}, but ${bounds.atLeast} were committed in time`);
  if (high > bounds.atMost) problems.push(`journal ends at ${high}, but only ${bounds.atMost} were ever sent`);
  const wrong = await restored.value(`
    SELECT count(*) FROM load_state s
    FULL JOIN (SELECT (n * ${STRIDE}) % ${KEYS} AS k, sum(n) AS total FROM load_journal GROUP BY 1) j ON j.k = s.k
    WHERE s.v IS DISTINCT FROM coalesce(j.total, 0)`);
  if (wrong !== '0') problems.push(`${wrong} keys do not hold the sum of their journal`);
  const grown = await restored.value(`
    SELECT count(*) FROM load_growth WHERE body <> repeat(md5(n::text), 20)
    UNION ALL SELECT abs((SELECT count(*) FROM load_growth) - ${count}) ORDER BY 1 DESC LIMIT 1`);
  if (grown !== '0') problems.push(`load_growth is off by ${grown} rows`);
  return problems;
}
