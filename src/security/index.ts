export {
  addUser,
  checkUserName,
  deleteUser,
  editUser,
  listUsers,
  type UserPassword,
  type UsersResult,
} from './admin.js';
export { createMasterKey, type MasterKey, masterKeyPath, readMasterKey } from './master-key.js';
export { deriveMasterSecret, deriveMasterSecretAsync, forgetMasterSecrets } from './master-secret.js';
export { checkMasterPassword, checkUserPassword, DEFAULT_GENERATED_LENGTH, generatePassword } from './password.js';
export { readTlsFiles, type TlsFiles, type TlsMaterial } from './tls-files.js';
export { readVault } from './vault.js';
