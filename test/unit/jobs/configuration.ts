import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Configuration, loadConfiguration } from '../../../src/config/index.js';

/** A configuration of one server, `primary`, read from files in the directory that is its repository too. */
export function configurationIn(base: string, retention: string): Configuration {
  const main = path.join(base, 'pgmoneta.conf');
  const settings = `[pgmoneta]\nhost = *\nbase_dir = ${base}\nunix_socket_dir = ${base}\nretention = ${retention}\n`;
  writeFileSync(main, `${settings}[primary]\nhost = h\nport = 5432\nuser = u\nwal_slot = s\n`, { mode: 0o600 });
  const users = path.join(base, 'users.conf');
  writeFileSync(users, 'u:AAAA\n', { mode: 0o600 });
  return loadConfiguration({ main, users });
}
