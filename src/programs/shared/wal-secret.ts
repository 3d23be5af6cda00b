import { forgetKeptSecret, keepSecret, readKeptSecret } from '../../security/kept-secret.js';
import { masterKeyPath, readMasterKey } from '../../security/master-key.js';
import { deriveMasterSecretAsync } from '../../security/master-secret.js';

/** Gets the secret that opens WAL, for a process that lives for one segment. */
export class WalSecret {
  #kept = false;

  /** The kept one, else it is derived, and kept for the next process. @throws PgmonetaError MASTER_KEY_INVALID */
  async get(): Promise<Buffer> {
    const path = masterKeyPath();
    const key = await readMasterKey();
    const known = await readKeptSecret(path, key.salt);
    this.#kept = known !== undefined;
    if (known !== undefined) return known;
    const secret = await deriveMasterSecretAsync(key);
    await keepSecret(path, key.salt, secret);
    return secret;
  }

  /**
   * What a kept secret could not open may have to be opened by the right one.
   * @returns whether it is worth another try
   */
  async doubt(): Promise<boolean> {
    if (!this.#kept) return false;
    await forgetKeptSecret(masterKeyPath());
    return true;
  }
}
