import { createPrivateKey, X509Certificate } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { PgmonetaError } from '../errors/index.js';

/** The files of a TLS listener or client. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | null | undefined;
}

/** Their contents, PEM. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

const LIMIT = 1024 * 1024;

function invalid(path: string, what: string, why: string, hint: string, cause?: unknown): PgmonetaError {
  return new PgmonetaError('CONFIGURATION_INVALID', `the ${what} ${path} ${why}`, { hint, cause, context: { path } });
}

/**
 * What is wrong with owner and mode of a private key, or `null`: of the user itself it must be closed to all others
 * (0600), of root its group may read it (0640), and nobody else may own it.
 */
export function keyModeProblem(status: Pick<Stats, 'uid' | 'mode'>, user: number): string | null {
  if (status.uid === 0) {
    return (status.mode & 0o037) === 0 ? null : 'is owned by root and must have mode 0640 or less';
  }
  if (status.uid !== user) return 'is owned neither by the user that runs this nor by root';
  return (status.mode & 0o077) === 0 ? null : 'can be used by others; it must have mode 0600';
}

function readChecked(path: string, what: string, check: (status: Stats) => string | null): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`;
    throw invalid(path, what, why, 'check the path and its permissions', error);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw invalid(path, what, 'is not a regular file', 'name a PEM file');
    if (status.size > LIMIT) throw invalid(path, what, `is larger than ${LIMIT} bytes`, 'name a PEM file');
    const problem = check(status);
    if (problem !== null) throw invalid(path, what, problem, `run chown and chmod on ${path}`);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function checkPair(files: TlsFiles, material: TlsMaterial): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(material.cert);
  } catch (error) {
    throw invalid(
      files.cert,
      'certificate',
      'is not a PEM certificate',
      'name a file with the certificate first',
      error,
    );
  }
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(material.key));
  } catch (error) {
    const hint = 'name a PEM file with a key that is not encrypted';
    throw invalid(files.key, 'private key', 'cannot be used', hint, error);
  }
  if (!matches) {
    throw invalid(
      files.key,
      'private key',
      `does not belong to the certificate ${files.cert}`,
      'name the key of the certificate',
    );
  }
}

/**
 * Reads and checks the files of a TLS listener: they exist, are regular, belong to the user or root, the key is
 * closed to others and belongs to the certificate. Any failure is an error; nothing falls back to plain text.
 * @param user effective user, the default is that of the process
 * @throws PgmonetaError CONFIGURATION_INVALID
 */
export function readTlsFiles(files: TlsFiles, user: number = process.geteuid?.() ?? 0): TlsMaterial {
  const owner = (status: Stats) =>
    status.uid === user || status.uid === 0 ? null : 'is owned neither by the user that runs this nor by root';
  const material: TlsMaterial = {
    cert: readChecked(files.cert, 'certificate', owner),
    key: readChecked(files.key, 'private key', (status) => keyModeProblem(status, user)),
    ...(files.ca ? { ca: readChecked(files.ca, 'certificate authority', owner) } : {}),
  };
  checkPair(files, material);
  return material;
}
