import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';

/** A message as a server sends it. */
export function message(kind: string, body: Buffer | string = ''): Buffer {
  const payload = Buffer.from(body);
  const out = Buffer.alloc(payload.length + 5);
  out.write(kind, 0, 'latin1');
  out.writeUInt32BE(payload.length + 4, 1);
  payload.copy(out, 5);
  return out;
}

/** An authentication request. */
export function authentication(code: number, data: Buffer | string = ''): Buffer {
  const body = Buffer.alloc(4);
  body.writeInt32BE(code);
  return message('R', Buffer.concat([body, Buffer.from(data)]));
}

/** AuthenticationOk, some parameters, key and ReadyForQuery. */
export function welcome(version: string): Buffer {
  return Buffer.concat([
    authentication(0),
    message('S', `server_version\0${version}\0`),
    message('K', Buffer.from([0, 0, 0, 42, 0, 0, 0, 7])),
    message('Z', 'I'),
  ]);
}

/** An ErrorResponse. */
export function errorResponse(fields: Record<string, string>): Buffer {
  const body = Object.entries(fields).map(([key, value]) => `${key}${value}\0`);
  return message('E', `${body.join('')}\0`);
}

/** A server that says what a real one never (or only by bad luck) says. */
export class FakeServer {
  readonly port: number;
  readonly requests: Buffer[] = [];
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#sockets = sockets;
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Starts one; `answer` gets each chunk that a client sends and the number of that chunk, from 0. */
  static async start(answer: (socket: Socket, chunk: Buffer, turn: number) => void): Promise<FakeServer> {
    let fake: FakeServer | undefined;
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      let turn = 0;
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        fake?.requests.push(chunk);
        answer(socket, chunk, turn++);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    fake = new FakeServer(server, sockets);
    return fake;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
