import { statSync } from 'node:fs';
import type { MainSettings, ServerSettings } from '../options/index.js';
import type { ProblemList } from '../text/problem.js';

function kindOf(path: string): 'file' | 'directory' | 'other' | 'missing' | { failure: string } {
  try {
    const status = statSync(path);
    if (status.isDirectory()) return 'directory';
    return status.isFile() ? 'file' : 'other';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : { failure: message };
  }
}

function checkFile(section: string, key: string, path: string | null, problems: ProblemList): void {
  if (path === null) return;
  const kind = kindOf(path);
  if (kind === 'file') return;
  const message =
    typeof kind === 'object'
      ? kind.failure
      : kind === 'missing'
        ? 'the file does not exist'
        : 'this is not a regular file';
  problems.add({ severity: 'error', section, key, value: path, message });
}

const METRICS_FILES = ['metrics_cert_file', 'metrics_key_file', 'metrics_ca_file'] as const;
const TLS_FILES = ['tls_cert_file', 'tls_key_file', 'tls_ca_file'] as const;
const SSH_FILES = ['ssh_public_key_file', 'ssh_private_key_file'] as const;

/**
 * Looks for the files that settings name: certificates, keys, the directory of the socket. A missing certificate is
 * an error and never means plain text. Owners and modes of the TLS files are checked where they are used.
 */
export function checkFiles(main: MainSettings, servers: readonly ServerSettings[], problems: ProblemList): void {
  if (typeof main.unix_socket_dir === 'string') {
    const kind = kindOf(main.unix_socket_dir);
    if (kind !== 'directory') {
      const why =
        typeof kind === 'object'
          ? kind.failure
          : kind === 'missing'
            ? 'the directory does not exist'
            : 'this is not a directory';
      problems.add({
        severity: 'error',
        section: 'pgmoneta',
        key: 'unix_socket_dir',
        value: main.unix_socket_dir,
        message: why,
      });
    }
  }
  for (const key of METRICS_FILES) checkFile('pgmoneta', key, main[key], problems);
  if (main.tls) for (const key of TLS_FILES) checkFile('pgmoneta', key, main[key], problems);
  if (main.storage_engine.includes('ssh')) for (const key of SSH_FILES) checkFile('pgmoneta', key, main[key], problems);
  for (const server of servers) {
    for (const key of TLS_FILES) checkFile(server.name, key, server[key], problems);
  }
}
