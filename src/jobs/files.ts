import { stat } from 'node:fs/promises';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { compressFile, decompressFile } from '../native/codec.js';
import { decryptFile, encryptFile } from '../native/crypto.js';
import { codecOf } from '../repository/codes.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { requiredText } from './request.js';

async function existingFile(request: JsonObject, code: ErrorCode): Promise<string> {
  const path = requiredText(request, 'SourceFile', code);
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new PgmonetaError(code, `${path}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`, {
      hint: "the path is on the daemon's host, and the daemon's user has to be able to read it",
    });
  });
  if (!status.isFile()) throw new PgmonetaError(code, `${path} is not a regular file`);
  return path;
}

function secret(context: JobContext): Buffer {
  if (context.masterSecret === undefined) {
    throw new PgmonetaError('MASTER_KEY_INVALID', 'there is no master key to work with');
  }
  return context.masterSecret;
}

/** Compresses one file as the configuration says; the source goes when the result is durable and verified. */
export const compressJob: Job = async (request, context) => {
  const { compression, compression_level: level } = context.configuration.main;
  const codec = codecOf(compression);
  if (codec === 'none') {
    throw new PgmonetaError('COMPRESS_UNKNOWN', 'compression = none in the configuration', {
      hint: 'set compression in the [pgmoneta] section, then reload',
    });
  }
  const source = await existingFile(request, 'ZSTD_NOFILE');
  return { DestinationFile: (await compressFile(source, { codec, level })).destination };
};

/** Decompresses one file by its suffix, checked against its first bytes. */
export const decompressJob: Job = async (request) => {
  const source = await existingFile(request, 'ZSTD_NOFILE');
  return { DestinationFile: (await decompressFile(source)).destination };
};

/** Encrypts one file as the configuration says. */
export const encryptJob: Job = async (request, context) => {
  const mode = context.configuration.main.encryption;
  if (mode === 'none') {
    throw new PgmonetaError('ENCRYPT_ERROR', 'encryption = none in the configuration', {
      hint: 'set encryption in the [pgmoneta] section, then restart the daemon',
    });
  }
  const source = await existingFile(request, 'ENCRYPT_NOFILE');
  return { DestinationFile: (await encryptFile(source, { mode, masterSecret: secret(context) })).destination };
};

/** Decrypts one `.aes` file; its mode is found by trial, which the tag makes safe. */
export const decryptJob: Job = async (request, context) => {
  const source = await existingFile(request, 'DECRYPT_NOFILE');
  return { DestinationFile: (await decryptFile(source, { masterSecret: secret(context) })).destination };
};
