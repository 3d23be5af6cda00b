import { PgmonetaError } from '../../errors/index.js';
import type { ManagementClientOptions } from '../../management/client.js';
import { WIRE_COMPRESSIONS, WIRE_ENCRYPTIONS } from '../../management/codes.js';
import type { OUTPUTS } from '../../management/documents.js';
import { socketPathIn } from '../../management/socket-path.js';
import type { FlagValues } from '../shared/declare.js';
import { UsageError } from '../shared/usage-error.js';
import { type FileSettings, readSettingsFile } from './settings-file.js';

/** How results are printed. */
export type Format = (typeof OUTPUTS)[number];

/** What the options and the configuration file of a call come to. */
export interface CliSettings {
  readonly format: Format;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Exit with 0 whenever the daemon has answered. */
  readonly exitZero: boolean;
  readonly logfile: string | undefined;
  /** How to reach the daemon, or why that is not possible. */
  readonly connection: ManagementClientOptions | PgmonetaError;
}

const COMPRESSION_WORDS: Readonly<Record<string, string>> = { gz: 'gzip', bz2: 'bzip2' };

const ENCRYPTION_WORDS: Readonly<Record<string, string>> = {
  aes: 'aes-256-gcm',
  aes256: 'aes-256-gcm',
  'aes-gcm': 'aes-256-gcm',
  'aes256-gcm': 'aes-256-gcm',
  aes192: 'aes-192-gcm',
  'aes192-gcm': 'aes-192-gcm',
  aes128: 'aes-128-gcm',
  'aes128-gcm': 'aes-128-gcm',
};

/**
 * Option before file before default.
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND, CONFIGURATION_INVALID for a file named with -c
 */
export async function readSettings(flags: FlagValues): Promise<CliSettings> {
  const file = await readSettingsFile(flags.text('config'));
  const format = (flags.text('format') ?? file?.output ?? 'text') as Format;
  const compression = flags.text('compress') ?? file?.compression ?? 'none';
  const encryption = flags.text('encrypt') ?? file?.encryption ?? 'none';
  return {
    format,
    quiet: flags.has('quiet'),
    verbose: flags.has('verbose'),
    exitZero: flags.has('exit-zero'),
    logfile: flags.text('logfile') ?? file?.logPath,
    connection: connectionOf(flags, file, {
      compression: codeOf(WIRE_COMPRESSIONS, COMPRESSION_WORDS, compression, 'compression'),
      encryption: codeOf(WIRE_ENCRYPTIONS, ENCRYPTION_WORDS, encryption, 'encryption'),
    }),
  };
}

function connectionOf(
  flags: FlagValues,
  file: FileSettings | undefined,
  codes: { readonly compression: number; readonly encryption: number },
): CliSettings['connection'] {
  if (['host', 'port', 'user', 'password', 'password-file'].some((name) => flags.has(name))) return remote();
  const directory = file?.unixSocketDir;
  if (directory !== undefined) return { socketPath: socketPathIn(directory), ...codes, secret: masterSecret };
  if (file?.host !== undefined && file.port !== undefined) return remote();
  if (file === undefined) {
    return new UsageError(
      'No configuration file found',
      undefined,
      'name one with -c: pgmoneta_cli.conf, or pgmoneta.conf of the daemon',
    );
  }
  return new UsageError('No connection information provided', undefined, `set unix_socket_dir in ${file.path}`);
}

function remote(): PgmonetaError {
  return new UsageError(
    'Error: this version manages the daemon over its Unix socket only; -h, -p, -U and -P cannot be used',
    undefined,
    'run pgmoneta-cli on the machine of the daemon, with -c and a file that has unix_socket_dir',
  );
}

function codeOf(
  words: readonly string[],
  aliases: Readonly<Record<string, string>>,
  given: string,
  key: string,
): number {
  const word = given.toLowerCase();
  const code = words.indexOf(aliases[word] ?? word);
  if (code >= 0) return code;
  throw new PgmonetaError('CONFIGURATION_INVALID', `${key} = ${given} is not known; allowed: ${words.join(', ')}`);
}

/** Read only when something is encrypted: the derivation takes a while. */
async function masterSecret(): Promise<Buffer> {
  const { deriveMasterSecretAsync, readMasterKey } = await import('../../security/index.js');
  return deriveMasterSecretAsync(await readMasterKey());
}
