import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Configuration, loadConfiguration } from '../../../src/config/index.js';
import { temporaryDirectory } from '../temporary.js';

/** A minimal configuration as users of pgmoneta 0.21 have it; `SOCKETS` stands for a directory that exists. */
export const MINIMAL = `[pgmoneta]
host = *
metrics = 5001
base_dir = /var/lib/pgmoneta
unix_socket_dir = SOCKETS

[primary]
host = localhost
port = 5432
user = repl
wal_slot = repl
`;

/** Files of a configuration in a directory of their own. */
export interface Files {
  readonly directory: string;
  readonly main: string;
  readonly users: string;
}

/** Writes a configuration and a users file with the user repl. */
export function writeFiles(text: string, name = 'pgmoneta.conf', mode = 0o600): Files {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'run'));
  const main = join(directory, name);
  const users = join(directory, 'users.conf');
  writeFileSync(main, text.replaceAll('SOCKETS', join(directory, 'run')), { mode });
  writeFileSync(users, 'repl:abcd\nother:abcd\n', { mode: 0o600 });
  return { directory, main, users };
}

/** Loads a configuration from its text. */
export function loadText(text: string, name = 'pgmoneta.conf'): Configuration {
  const { main, users } = writeFiles(text, name);
  return loadConfiguration({ main, users });
}
