/** The commands that work on a single file. */
export type FileVerb = 'encrypt' | 'decrypt' | 'compress' | 'decompress';

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
      const { compressFile } = await import('../../native/codec.js');
      await compressFile(path, CODEC);
      return;
    }
    case 'decompress': {
      const { decompressFile } = await import('../../native/codec.js');
      await decompressFile(path);
      return;
    }
    default: {
      const { decryptFile, encryptFile } = await import('../../native/crypto.js');
      const { deriveMasterSecretAsync, readMasterKey } = await import('../../security/index.js');
      const masterSecret = await deriveMasterSecretAsync(await readMasterKey());
      if (verb === 'encrypt') await encryptFile(path, { mode: CIPHER, masterSecret });
      else await decryptFile(path, { masterSecret });
    }
  }
}
