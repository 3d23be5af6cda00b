/**
 * The LZ4 form of pgmoneta (C), written from its description alone: blocks of 4096 plain bytes, each preceded by
 * its compressed size as int32 LE, raw LZ4 sequences, matches that reach back into the previous block. No header,
 * no checksum, no end mark; the streaming writer adds an empty block when the plain size is a multiple of 1 MiB.
 */

const BLOCK = 4096;
const STREAM_BUFFER = 1024 * 1024;
const MINIMUM_MATCH = 4;
/** The last match starts at least this many bytes before the end of a block, and the last 5 bytes are literals. */
const LAST_MATCH = 12;
const LAST_LITERALS = 5;

/** @param {number[]} out @param {number} length what did not fit into the token's 15 */
function pushLength(out, length) {
  let rest = length;
  for (; rest >= 255; rest -= 255) out.push(255);
  out.push(rest);
}

/**
 * One sequence: literals, then (unless it is the last) a match.
 * @param {number[]} out @param {Buffer} plain @param {number} from @param {number} to @param {{offset: number, length: number}} [match]
 */
function pushSequence(out, plain, from, to, match) {
  const literals = to - from;
  const extra = match ? match.length - MINIMUM_MATCH : 0;
  out.push((Math.min(literals, 15) << 4) | Math.min(extra, 15));
  if (literals >= 15) pushLength(out, literals - 15);
  for (let i = from; i < to; i++) out.push(plain[i] ?? 0);
  if (!match) return;
  out.push(match.offset & 0xff, match.offset >> 8);
  if (extra >= 15) pushLength(out, extra - 15);
}

/** @param {Buffer} plain @param {number} start @param {number} end @param {Int32Array} seen last place of each hash */
function compressBlock(plain, start, end, seen) {
  /** @type {number[]} */
  const out = [];
  const reach = Math.max(0, start - BLOCK);
  let literal = start;
  let at = start;
  while (at <= end - LAST_MATCH) {
    const word = plain.readUInt32LE(at);
    const slot = Math.imul(word, 2654435761) >>> 18;
    const candidate = seen[slot] ?? -1;
    seen[slot] = at;
    if (candidate < reach || plain.readUInt32LE(candidate) !== word) {
      at++;
      continue;
    }
    let length = MINIMUM_MATCH;
    while (at + length < end - LAST_LITERALS && plain[candidate + length] === plain[at + length]) length++;
    pushSequence(out, plain, literal, at, { offset: at - candidate, length });
    at += length;
    literal = at;
  }
  pushSequence(out, plain, literal, end);
  return Buffer.from(out);
}

/** @param {Buffer} block */
function framed(block) {
  const size = Buffer.alloc(4);
  size.writeInt32LE(block.length);
  return [size, block];
}

/** Compresses as the streaming path of pgmoneta (C) does. @param {Buffer} plain */
export function compressOldLz4(plain) {
  const seen = new Int32Array(1 << 14).fill(-1);
  const parts = [];
  for (let start = 0; start < plain.length; start += BLOCK) {
    parts.push(...framed(compressBlock(plain, start, Math.min(start + BLOCK, plain.length), seen)));
  }
  if (plain.length % STREAM_BUFFER === 0) parts.push(...framed(Buffer.from([0])));
  return Buffer.concat(parts);
}
