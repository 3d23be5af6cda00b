import { resolve } from 'node:path';
import type { CommandInput } from '../shared/declare.js';
import { ask } from './ask.js';
import { tablespaceMap } from './tablespace-map.js';

/** `restore`: relative directories are those of the user, not of the daemon. */
export function restore(input: CommandInput): Promise<number> {
  const { server = null, identifier = null, position = null, directory = '' } = input.args;
  const { flags } = input;
  const request = { Server: server, Backup: identifier, Position: position, Directory: resolve(directory) };
  const ours = {
    ...tablespaceMap(flags.list('tablespace-map')),
    ...(flags.has('relative-links') ? { RelativeLinks: true } : {}),
    ...(flags.has('force') ? { Force: true } : {}),
  };
  // pgmoneta (C) would ignore them, and restore to another place than was meant.
  const needs = Object.keys(ours).length === 0 ? undefined : '--tablespace-map, --relative-links and --force';
  return ask('restore', { ...request, ...ours }, input, needs);
}
