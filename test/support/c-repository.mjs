/** Lays out backups exactly as pgmoneta (C) 0.21 writes them: names, codes, links and formats of the specification. */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { compressOldLz4 } from './old-lz4.mjs';

/** @typedef {'none' | 'gzip' | 'zstd' | 'lz4' | 'bzip2'} Codec */
/** @typedef {{codec: Codec, encrypted: boolean, label: string, previous?: string}} Form `previous`: the backup that unchanged files link to */

const SUFFIX = { none: '', gzip: '.gz', zstd: '.zstd', lz4: '.lz4', bzip2: '.bz2' };
/** COMPRESSION of 0.21: 0x10 for the client's side, and the method. */
const CODE = { none: 0, gzip: 17, zstd: 18, lz4: 19, bzip2: 20 };
/** Never compressed, never encrypted. */
const PLAIN = /(backup_label|backup_manifest)$/;
/** Never linked to the previous backup. */
const UNLINKED = ['global/pg_control', 'postgresql.conf', 'pg_hba.conf', 'backup_label'];

/** Compresses with the programs of the system, a whole directory at once: Node 20 has neither. @param {'zstd' | 'bzip2'} tool @param {Buffer[]} contents @returns {Buffer[]} */
function compressWith(tool, contents) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'codec-'));
  try {
    const names = contents.map((content, n) => {
      writeFileSync(path.join(folder, String(n)), content);
      return String(n);
    });
    const flags = tool === 'zstd' ? ['-q', '-3', '--check'] : ['-9', '-k'];
    for (let n = 0; n < names.length; n += 500)
      execFileSync(tool, [...flags, ...names.slice(n, n + 500)], { cwd: folder });
    return names.map((name) => readFileSync(path.join(folder, `${name}${tool === 'zstd' ? '.zst' : '.bz2'}`)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compressed forms by content: several repositories are made of the same image. @type {Map<Codec, WeakMap<Buffer, Buffer>>} */
const known = new Map();

/** @param {Codec} codec @param {Buffer[]} contents @returns {Buffer[]} */
function compress(codec, contents) {
  const cache = known.get(codec) ?? new WeakMap();
  known.set(codec, cache);
  const missing = contents.filter((content) => !cache.has(content));
  compressAnew(codec, missing).forEach((stored, n) => {
    cache.set(missing[n] ?? Buffer.alloc(0), stored);
  });
  return contents.map((content) => cache.get(content) ?? Buffer.alloc(0));
}

/** @param {Codec} codec @param {Buffer[]} contents */
function compressAnew(codec, contents) {
  if (codec === 'none') return contents;
  if (codec === 'gzip') return contents.map((content) => gzipSync(content, { level: 9, memLevel: 9 }));
  if (codec === 'lz4') return contents.map(compressOldLz4);
  return compressWith(codec, contents);
}

/** Seals as 0.21 does: salt, IV, AES-256-GCM, tag; one key for all files of a process. @param {Buffer} secret @returns {(plain: Buffer) => Buffer} */
function sealer(secret) {
  const salt = randomBytes(16);
  const key = pbkdf2Sync(secret, salt, 1, 80, 'sha256').subarray(0, 32);
  return (plain) => {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    return Buffer.concat([salt, iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
}

/** The 64 bytes that all file keys come from. @param {string} home directory with .pgmoneta/master.key */
export function masterSecret(home) {
  const [key = '', salt = ''] = readFileSync(path.join(home, '.pgmoneta', 'master.key'), 'utf8').split('\n');
  return pbkdf2Sync(Buffer.from(key, 'base64'), Buffer.from(salt, 'base64'), 600_000, 64, 'sha256');
}

/** @param {string} file @param {Buffer | string} content */
function put(file, content) {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, content, { mode: 0o600 });
  chmodSync(file, 0o600);
}

/** backup.info in the order of 0.21. @param {import('./image.mjs').Image} image @param {Form} form @param {number} major @param {number} size */
function infoOf(image, form, major, size) {
  const elapsed = [
    '',
    'BASEBACKUP_',
    'HASH_',
    'COMPRESSION_ZSTD_',
    'COMPRESSION_GZIP_',
    'COMPRESSION_BZIP2_',
    'COMPRESSION_LZ4_',
  ];
  const more = ['ENCRYPTION_', 'LINKING_', 'MANIFEST_', 'REMOTE_SSH_', 'REMOTE_S3_', 'REMOTE_AZURE_'];
  const biggest = Math.max(...image.files.map(({ content }) => content.length));
  const lines = [
    'PGMONETA_VERSION=0.21.0',
    'STATUS=1',
    `LABEL=${form.label}`,
    `WAL=${form.codec === 'none' && form.encrypted ? '(null)' : path.basename(image.wal[0]?.path ?? '')}`,
    `BACKUP=${size}`,
    `RESTORE=${size}`,
    `BIGGEST_FILE=${biggest}`,
    ...[...elapsed, ...more].map((name) => `${name}ELAPSED=0.1000`),
    `MAJOR_VERSION=${major}`,
    'MINOR_VERSION=1',
    'KEEP=0',
    `TABLESPACES=${image.tablespaces.length}`,
    `COMPRESSION=${CODE[form.codec]}`,
    `ENCRYPTION=${form.encrypted ? 1 : 0}`,
    ...image.tablespaces.flatMap(({ oid, name, location }, n) => [
      `TABLESPACE${n + 1}=tblspc_${name}`,
      `TABLESPACE_OID${n + 1}=${oid}`,
      `TABLESPACE_PATH${n + 1}=${location}`,
    ]),
    `START_WALPOS=${image.startLsn}`,
    `END_WALPOS=${image.endLsn}`,
    `CHKPT_WALPOS=${image.checkpointLsn}`,
    ...['START_TIMELINE=1', 'END_TIMELINE=1', 'TYPE=0', 'PARENT=', 'COMMENTS=', 'EXTRA='],
  ];
  return `${lines.join('\n')}\n`;
}

/** All files and links below a directory, links to directories not followed. @param {string} top @param {string} [folder] @returns {string[]} */
function everything(top, folder = '.') {
  return readdirSync(path.join(top, folder)).flatMap((name) => {
    const relative = path.join(folder, name);
    const status = lstatSync(path.join(top, relative));
    if (status.isDirectory()) return everything(top, relative);
    if (status.isSymbolicLink() && path.dirname(relative) === 'data/pg_tblspc') return [];
    return [relative];
  });
}

/**
 * Writes one backup.
 * @param {string} server directory of the server, `<base_dir>/<server>`
 * @param {import('./image.mjs').Image} image @param {Form} form @param {{major: number, secret: Buffer}} options
 */
export function layOut(server, image, form, options) {
  const backup = path.join(server, 'backup', form.label);
  const seal = sealer(options.secret);
  const suffix = SUFFIX[form.codec] + (form.encrypted ? '.aes' : '');
  const names = new Map(image.tablespaces.map(({ oid, name }) => [oid, `tblspc_${name}`]));
  for (const directory of image.directories) {
    const [, oid = '', rest] = /^pg_tblspc\/(\d+)(?:\/(.*))?$/.exec(directory) ?? [];
    const place = oid ? path.join(backup, String(names.get(oid)), rest ?? '') : path.join(backup, 'data', directory);
    mkdirSync(place, { recursive: true, mode: 0o700 });
  }
  for (const { oid, name } of image.tablespaces)
    symlinkSync(`${path.join(backup, `tblspc_${name}`)}/`, path.join(backup, 'data/pg_tblspc', oid));
  const manifest = manifestLines(image);
  const before = form.previous
    ? readManifest(path.join(server, 'backup', form.previous, 'backup.manifest'))
    : new Map();
  const encoded = [...image.files, ...image.wal].filter(({ path: name }) => !PLAIN.test(name));
  const linked = (/** @type {string} */ name) =>
    manifest.has(name) && before.get(name) === manifest.get(name) && !UNLINKED.includes(name);
  const own = encoded.filter(({ path: name }) => !linked(name));
  const stored = compress(
    form.codec,
    own.map(({ content }) => content),
  );
  own.forEach(({ path: name }, n) => {
    const content = stored[n] ?? Buffer.alloc(0);
    put(path.join(backup, 'data', `${name}${suffix}`), form.encrypted ? seal(content) : content);
  });
  for (const { path: name } of encoded.filter((file) => linked(file.path))) {
    const file = path.join(backup, 'data', `${name}${suffix}`);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    symlinkSync(path.join(server, 'backup', String(form.previous), 'data', `${name}${suffix}`), file);
  }
  for (const { path: name, content } of image.files.filter((file) => PLAIN.test(file.path)))
    put(path.join(backup, 'data', name), content);
  put(path.join(backup, 'data/backup_manifest'), image.manifest);
  put(path.join(backup, 'backup.manifest'), [...manifest].map(([name, sum]) => `${name},${sum}\n`).join(''));
  const size = stored.reduce((sum, content) => sum + content.length, 0);
  put(path.join(backup, 'backup.info'), infoOf(image, form, options.major, size));
  putHashes(backup);
}

/** SHA-512 of every plain file of the manifest. @param {import('./image.mjs').Image} image */
function manifestLines(image) {
  return new Map(
    image.files.map(({ path: name, content }) => [name, createHash('sha512').update(content).digest('hex')]),
  );
}

/** @param {string} file @returns {Map<string, string>} */
function readManifest(file) {
  return new Map(
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => /** @type {[string, string]} */ (line.split(','))),
  );
}

/** backup.sha512, with the last line as a later save of backup.info leaves it. @param {string} backup */
function putHashes(backup) {
  const hash = (/** @type {string} */ name) =>
    createHash('sha512')
      .update(readFileSync(path.join(backup, name)))
      .digest('hex');
  const files = everything(backup).filter((name) => name !== 'backup.info');
  const lines = files.map((name) => `${hash(name)} *./${name}\n`);
  put(path.join(backup, 'backup.sha512'), `${lines.join('')}${hash('backup.info')} *.backup.info\n`);
}
