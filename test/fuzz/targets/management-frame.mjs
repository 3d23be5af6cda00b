import { Duplex } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { product } from '../product.mjs';

const { ServedConnection } = await product('management/serve.js');
const { FrameReader, MAX_REPLY } = await product('management/frame.js');
const { readJson } = await product('management/json/index.js');
const { unpackPayload } = await product('management/payload.js');

/** @param {number} compression @param {number} encryption @param {string | Buffer} payload */
function frame(compression, encryption, payload) {
  const header = Buffer.from([compression, encryption, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 2);
  return Buffer.concat([header, Buffer.from(payload)]);
}

const ping = '{"Header":{"Command":9,"Protocol":2,"Progress":true},"Request":{}}';
export const seeds = [
  frame(0, 0, ping),
  Buffer.concat([frame(0, 0, ping), frame(0, 0, '{"Header":{"Command":300},"Request":{}}')]),
  frame(1, 0, gzipSync(ping).toString('base64')),
  frame(0, 1, 'EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK1LLSVX9dQ8CcjydXBi8rm6FPe2qPxNJ'),
  frame(4, 3, 'AAAA'),
];
export const tokens = [
  '\0\0\0\0\0\x02{}',
  '\x01\0\0\0\0\x04AAAA',
  '\x02\x01',
  '\0\0\xff\xff\xff\xff',
  '====',
  '{"Header":{"Command":300}}',
  '\0\0\0\0\0\0',
];

const secret = async () => Buffer.alloc(64, 7);
const log = { info() {}, warn() {} };
const deadlines = { header: 20, body: 20, reply: 20 };

/** @param {any} request */
async function handler(request) {
  request.progress?.({ phase: 'x', done: 1, total: 2, unit: 'bytes' });
  await new Promise((resolve) => setImmediate(resolve));
  return { response: { Aborted: request.signal.aborted } };
}

/**
 * The daemon must end every conversation, and answer every complete frame with a frame that a client can read.
 * @param {Buffer} input
 */
export async function run(input) {
  /** @type {Buffer[]} */
  const written = [];
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  const served = new ServedConnection(
    stream,
    { transport: 'unix', description: 'fuzz' },
    { handler, secret, log, deadlines },
  );
  const step = 1 + ((input[0] ?? 0) % 64);
  for (let at = 0; at < input.length; at += step) stream.push(input.subarray(at, at + step));
  stream.push(null);
  await served.done;
  const reader = new FrameReader(MAX_REPLY);
  for (const chunk of written) reader.push(chunk);
  let last;
  for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
    last = readJson(await unpackPayload(reply, MAX_REPLY, secret));
  }
  if (reader.pending > 0) throw new Error('the reply is torn');
  if (last !== undefined && last.Outcome === undefined) throw new Error('the last frame is no reply');
}
