import { option, optional, required } from '../option.js';
import { boolean } from '../values/boolean.js';
import { fileMode, integer } from '../values/number.js';
import { path, text } from '../values/text.js';
import { duration, rate } from '../values/units.js';
import { directIoWords, hugePageWords, processTitleWords } from './words.js';

/** Default of `pidfile`: beside the management socket, named after the address. */
export function defaultPidfile(unixSocketDir: string, host: string): string {
  return `${unixSocketDir.replace(/(?<=.)\/+$/, '')}/pgmoneta.${host === '*' ? 'all' : host.replaceAll('/', '_')}.pid`;
}

/** The daemon and its place on the machine. */
export const GENERAL_OPTIONS = {
  host: required(text({ maxBytes: 255, name: 'host', allowed: 'a host name, an address, or * for every interface' }), {
    reload: 'restart',
    help: 'Address that metrics, management and console listen on; * is every interface.',
  }),
  unix_socket_dir: required(path, { reload: 'restart', help: 'Directory of the management socket `.s.pgmoneta`.' }),
  unix_socket_mode: option(fileMode, 0o600, {
    reload: 'restart',
    since: 'here',
    help: 'File mode of the management socket; whoever may write to it may do everything.',
  }),
  unix_socket_group: optional(text({ maxBytes: 127, name: 'group', allowed: 'the name or number of a group' }), {
    reload: 'restart',
    since: 'here',
    help: 'Group of the management socket; give it a mode such as 0660 as well.',
  }),
  base_dir: required(path, { reload: 'restart', help: 'Root of the repository: backups and WAL of every server.' }),
  pidfile: option(
    path,
    {
      text: '`<unix_socket_dir>/pgmoneta.<host>.pid`, with `all` for `*`',
      compute: ({ settings }) => defaultPidfile(String(settings.unix_socket_dir), String(settings.host)),
    },
    { reload: 'restart', help: 'File with the process number of the daemon.' },
  ),
  workers: option(integer(0, 1024), 0, {
    reload: 'hot',
    help: 'Threads of a job; 0 lets pgmoneta choose.',
  }),
  workspace: option(
    path,
    {
      text: '`$TMPDIR/pgmoneta-workspace-<uid>/`, with `/tmp` where TMPDIR is not an absolute path',
      compute: ({ environment, uid }) => {
        const parent = environment.TMPDIR?.startsWith('/') ? environment.TMPDIR : '/tmp';
        return `${parent.replace(/(?<=.)\/+$/, '')}/pgmoneta-workspace-${uid}/`;
      },
    },
    { reload: 'restart', help: 'Directory for scratch files, where a job needs any.' },
  ),
  max_rate: option(rate, 0, { reload: 'hot', help: 'Most bytes per second that a backup takes from a server.' }),
  progress: option(boolean, false, {
    reload: 'hot',
    help: 'Write to the log how far a job is: at every phase, and once a minute. The command shows it at any time.',
  }),
  blocking_timeout: option(duration, 30, {
    reload: 'hot',
    help: 'How long a request waits for the job that holds the lock it needs; 0 does not wait.',
  }),
  update_process_title: option(processTitleWords, 'verbose', {
    reload: 'restart',
    help: 'What the process title says.',
  }),
  direct_io: option(directIoWords, 'off', { reload: 'restart', help: 'Write backups past the page cache.' }),
  hugepage: option(hugePageWords, 'try', {
    reload: 'restart',
    inert: true,
    help: 'Accepted for existing files; there is no shared memory to put into huge pages.',
  }),
  link: option(boolean, true, {
    reload: 'hot',
    help: 'Store a file that did not change since the previous backup as a hard link to it.',
  }),
};
