/** A TCP proxy between the product and a server that damages what passes, on request. */
import net from 'node:net';

export class FaultProxy {
  /** @type {net.Server} */
  #listener;
  /** @type {Set<{client: net.Socket, server: net.Socket}>} */
  #pairs = new Set();
  /** Bytes that came from the server, over all connections. */
  received = 0;
  /** After that many bytes of a base backup on one connection, that connection is torn. @type {number | undefined} */
  tearAfter;
  /** Bytes of text to look for in a base backup, and what to put in its place; done once. @type {{find: string, put: string} | undefined} */
  replace;
  /** How often a connection was torn or a text replaced. */
  hits = 0;
  /** What is made, once, of the next bytes from the server that begin with a CopyData message. @type {((chunk: Buffer) => Buffer) | undefined} */
  changeOnce;
  /** When true, one bit of the address in the headers of WAL pages is turned over. */
  damageWal = false;
  /** When true, nothing more is passed on; connections stay open. */
  stalled = false;

  /** @param {{host: string, port: number}} target */
  constructor(target) {
    this.target = target;
    this.#listener = net.createServer((client) => this.#connect(client));
  }

  /** @param {{host: string, port: number}} target @returns {Promise<FaultProxy>} */
  static async start(target) {
    const proxy = new FaultProxy(target);
    await new Promise((resolve) => proxy.#listener.listen(0, '127.0.0.1', () => resolve(undefined)));
    return proxy;
  }

  get port() {
    return /** @type {net.AddressInfo} */ (this.#listener.address()).port;
  }

  /** @param {net.Socket} client */
  #connect(client) {
    const server = net.createConnection(this.target);
    const pair = { client, server };
    this.#pairs.add(pair);
    let bytes = 0;
    let backup = false;
    client.on('data', (chunk) => {
      backup ||= chunk.includes('BASE_BACKUP');
      this.#pass(client, server, chunk);
    });
    server.on('data', (chunk) => {
      if (backup) bytes += chunk.length;
      this.received += chunk.length;
      if (this.tearAfter !== undefined && bytes > this.tearAfter) {
        this.tearAfter = undefined;
        this.hits++;
        client.resetAndDestroy();
        server.destroy();
        return;
      }
      this.#pass(server, client, this.#damage(chunk, backup));
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ]) {
      one?.on('error', () => other?.destroy());
      one?.on('close', () => {
        other?.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  /** @param {net.Socket} from @param {net.Socket} to @param {Buffer} chunk */
  #pass(from, to, chunk) {
    if (this.stalled || to.destroyed) return;
    if (!to.write(chunk)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  }

  /** @param {Buffer} chunk @param {boolean} backup */
  #damage(chunk, backup) {
    if (this.damageWal) return this.#damageWal(chunk);
    if (this.changeOnce && chunk[0] === 0x64 && chunk[5] === 0x77) {
      const change = this.changeOnce;
      this.changeOnce = undefined;
      this.hits++;
      return change(chunk);
    }
    if (!this.replace || !backup) return chunk;
    const at = chunk.indexOf(this.replace.find);
    if (at < 0) return chunk;
    const damaged = Buffer.from(chunk);
    damaged.write(this.replace.put, at);
    this.replace = undefined;
    this.hits++;
    return damaged;
  }

  /** Turns a bit in whatever looks like the header of a WAL page of PostgreSQL 17. @param {Buffer} chunk */
  #damageWal(chunk) {
    const damaged = Buffer.from(chunk);
    for (let at = damaged.indexOf('16d1', 0, 'hex'); at >= 0; at = damaged.indexOf('16d1', at + 2, 'hex')) {
      if (damaged.readUInt32LE(at + 4) !== 1 || at + 16 > damaged.length) continue;
      damaged[at + 10] = (damaged[at + 10] ?? 0) ^ 1;
      this.hits++;
    }
    return damaged;
  }

  /** Resets every connection now. */
  tear() {
    this.hits++;
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  async close() {
    this.tear();
    await new Promise((resolve) => this.#listener.close(() => resolve(undefined)));
  }
}
