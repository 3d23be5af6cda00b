import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { BACKUP_FILES } from './paths.js';

/** Longest line that is looked at: a digest and the longest path there can be, escaped. */
const LINE_LIMIT = 16 * 1024;
/** What `sha512sum` writes for it, and what pgmoneta 0.21 appends, without the slash. */
const INFO_LINE = /^[0-9a-fA-F]{128} [ *](?:\.\/|\.)?backup\.info$/;
const NEWLINE = 0x0a;

/** The SHA-512 of a text, as the hash list has it. */
export function sha512Of(text: string): string {
  return createHash('sha512').update(text).digest('hex');
}

/**
 * Writes a copy of a `backup.sha512` in which `backup.info` has another digest, and makes it durable. Streams: the
 * list of a large cluster has millions of lines.
 * @param target a new file, mode 0600; what stands there is replaced
 * @throws the error of the system
 */
export async function copyHashList(source: string, target: string, infoDigest: string): Promise<void> {
  const handle = await open(target, 'w', 0o600);
  try {
    for await (const piece of withoutInfo(createReadStream(source))) await handle.write(piece);
    await handle.write(`${infoDigest} *./${BACKUP_FILES.info}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The digest that a hash list has for `backup.info`; undefined when it has none. */
export async function listedInfoDigest(list: string): Promise<string | undefined> {
  let found: string | undefined;
  for await (const line of lines(createReadStream(list))) {
    if (isInfoLine(line)) found = line.subarray(0, 128).toString('latin1').toLowerCase();
  }
  return found;
}

function isInfoLine(line: Buffer): boolean {
  return line.length < 160 && INFO_LINE.test(line.toString('latin1').replace(/\n$/, ''));
}

/** Everything but the lines of `backup.info`, in pieces of many lines; the last line ends with a newline. */
async function* withoutInfo(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer[] = [];
  let size = 0;
  for await (const line of lines(stream)) {
    if (isInfoLine(line)) continue;
    kept.push(line);
    size += line.length;
    if (line.at(-1) !== NEWLINE) kept.push(Buffer.from('\n'));
    if (size < 1 << 20) continue;
    yield Buffer.concat(kept);
    kept = [];
    size = 0;
  }
  yield Buffer.concat(kept);
}

/** Lines with their newline, but for the last one, which may lack it. */
async function* lines(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      yield bytes.subarray(from, at + 1);
      from = at + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > LINE_LIMIT) throw new RangeError(`a line of the hash list is longer than ${LINE_LIMIT} bytes`);
  }
  if (rest.length > 0) yield rest;
}
