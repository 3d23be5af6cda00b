/** The commands that work on a single file. */
export type FileVerb = 'encrypt' | 'decrypt' | 'compress' | 'decompress';

interface FileCodecs {
  compressFile(path: string, options: { codec: string; level: number }): Promise<string>;
  decompressFile(path: string): Promise<string>;
}

interface FileCiphers {
  encryptFile(path: string, options: { mode: string; masterSecret: Buffer }): Promise<string>;
  decryptFile(path: string, options: { masterSecret: Buffer }): Promise<string>;
}

const codecs = (): Promise<FileCodecs> => import(['../../native', 'codec.js'].join('/'));
const ciphers = (): Promise<FileCiphers> => import(['../../native', 'crypto.js'].join('/'));

/** The cipher of files that are sealed without a daemon. */
const CIPHER = 'aes-256-gcm';

/** The codec of files that are compressed without a daemon. */
const CODEC = { codec: 'zstd', level: 3 } as const;

/**
 * Does a file command in this process. The source goes only when the result has been written, synchronised and
 * checked.
 */
export async function runLocally(verb: FileVerb, path: string): Promise<void> {
  switch (verb) {
    case 'compress': {
      const { compressFile } = await codecs();
      await compressFile(path, CODEC);
      return;
    }
    case 'decompress': {
      const { decompressFile } = await codecs();
      await decompressFile(path);
      return;
    }
    default: {
      const { decryptFile, encryptFile } = await ciphers();
      const { deriveMasterSecretAsync, readMasterKey } = await import('../../security/index.js');
      const masterSecret = await deriveMasterSecretAsync(await readMasterKey());
      if (verb === 'encrypt') await encryptFile(path, { mode: CIPHER, masterSecret });
      else await decryptFile(path, { masterSecret });
    }
  }
}
