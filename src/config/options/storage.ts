import { option, optional } from '../option.js';
import { booleanAsNumber } from '../values/boolean.js';
import { list } from '../values/list.js';
import { port } from '../values/number.js';
import { path, plainPath, text } from '../values/text.js';
import type { ValueType } from '../values/value-type.js';
import { words } from '../values/words.js';

const CODES: Readonly<Record<string, number>> = { local: 1, ssh: 2, s3: 4, azure: 8 };

const engineList = list({
  name: 'list',
  allowed: 'a comma list of local, ssh, s3 and azure',
  separator: ',',
  element: words('engine', { local: {}, ssh: {}, s3: {}, azure: {} }),
});

/** The places a repository is kept in; the code is the sum of the engines' bits. */
export const storageEngines: ValueType<readonly string[]> = {
  ...engineList,
  document: (value) => ({
    value: value.reduce((sum, engine) => sum + (CODES[engine] ?? 0), 0),
    string_value: value.join('|'),
  }),
};

const CIPHER_NAMES: Readonly<Record<string, string>> = {
  'aes-256-ctr': 'aes256-ctr',
  'aes-192-ctr': 'aes192-ctr',
  'aes-128-ctr': 'aes128-ctr',
  aes: 'aes256-cbc',
  'aes-256': 'aes256-cbc',
  'aes-256-cbc': 'aes256-cbc',
  'aes-192': 'aes192-cbc',
  'aes-192-cbc': 'aes192-cbc',
  'aes-128': 'aes128-cbc',
  'aes-128-cbc': 'aes128-cbc',
};

const cipherList = list({ name: 'list', allowed: 'a comma list of SSH ciphers', separator: ',' });

/** SSH ciphers under the names of the SSH protocol; the spellings of this configuration are translated. */
export const sshCiphers: ValueType<readonly string[]> = {
  ...cipherList,
  read: (raw) => cipherList.read(raw).map((name) => CIPHER_NAMES[name.toLowerCase()] ?? name),
};

const name = text({ maxBytes: 1024 });

function usesSsh(settings: Readonly<Record<string, unknown>>): boolean {
  return (settings.storage_engine as readonly string[]).includes('ssh');
}

function sshKey(file: string) {
  return {
    text: `$HOME/.ssh/${file}`,
    compute: ({
      environment,
      settings,
    }: {
      environment: Readonly<Record<string, string | undefined>>;
      settings: Readonly<Record<string, unknown>>;
    }) => (usesSsh(settings) && environment.HOME ? `${environment.HOME}/.ssh/${file}` : null),
  };
}

/** Where the repository is kept, and how it is reached over SSH. */
export const SSH_OPTIONS = {
  storage_engine: option(storageEngines, ['local'], { reload: 'restart', help: 'Where backups and WAL are kept.' }),
  ssh_hostname: optional(name, { reload: 'restart', help: 'Host of the SSH storage engine.' }),
  ssh_username: optional(name, { reload: 'restart', help: 'User on that host.' }),
  ssh_base_dir: optional(path, { reload: 'restart', help: 'Base directory on that host.' }),
  ssh_port: option(port, 0, {
    reload: 'restart',
    since: '0.22 of the C program',
    help: 'Port of the SSH server; 0 is 22.',
  }),
  ssh_ciphers: option(sshCiphers, ['aes256-ctr', 'aes192-ctr', 'aes128-ctr'], {
    reload: 'restart',
    help: 'Ciphers offered to the SSH server, in order.',
  }),
  ssh_public_key_file: option<string | null>(path as ValueType<string | null>, sshKey('id_rsa.pub'), {
    reload: 'restart',
    help: 'Public key for the SSH server.',
  }),
  ssh_private_key_file: option<string | null>(path as ValueType<string | null>, sshKey('id_rsa'), {
    reload: 'restart',
    help: 'Private key for the SSH server.',
  }),
};

/** Amazon S3 and compatible services. */
export const S3_OPTIONS = {
  s3_storage_class: optional(name, { reload: 'restart', help: 'Storage class of new objects.' }),
  s3_endpoint: optional(name, { reload: 'restart', help: 'Host of an S3-compatible service.' }),
  s3_port: option(port, 0, { reload: 'restart', help: 'Port of the service; 0 is the default of the protocol.' }),
  s3_use_tls: option(booleanAsNumber, false, { reload: 'restart', help: 'Use TLS with the service.' }),
  s3_region: optional(name, { reload: 'restart', help: 'Region of the bucket.' }),
  s3_access_key_id: optional(name, { reload: 'restart', help: 'Access key.' }),
  s3_secret_access_key: optional(name, { reload: 'restart', secret: true, help: 'Secret of the access key.' }),
  s3_secret_access_key_file: optional(path, {
    reload: 'restart',
    since: 'here',
    contentOf: 's3_secret_access_key',
    help: 'File whose content is the secret of the access key.',
  }),
  s3_bucket: optional(name, { reload: 'restart', help: 'Bucket.' }),
  s3_base_dir: optional(plainPath, { reload: 'restart', help: 'Prefix of the objects in the bucket.' }),
};

/** Azure blob storage. */
export const AZURE_OPTIONS = {
  azure_storage_account: optional(name, { reload: 'restart', help: 'Storage account.' }),
  azure_container: optional(name, { reload: 'restart', help: 'Container.' }),
  azure_shared_key: optional(name, { reload: 'restart', secret: true, help: 'Shared key of the account.' }),
  azure_shared_key_file: optional(path, {
    reload: 'restart',
    since: 'here',
    contentOf: 'azure_shared_key',
    help: 'File whose content is the shared key.',
  }),
  azure_base_dir: optional(plainPath, { reload: 'restart', help: 'Prefix of the blobs in the container.' }),
  azure_endpoint: optional(name, {
    reload: 'restart',
    since: '0.22 of the C program',
    help: 'Host to use instead of the public service.',
  }),
  azure_port: option(port, 0, {
    reload: 'restart',
    since: '0.22 of the C program',
    help: 'Port of that host; 0 is 443.',
  }),
  azure_use_tls: option(booleanAsNumber, false, {
    reload: 'restart',
    since: '0.22 of the C program',
    help: 'Use TLS with that host.',
  }),
};
