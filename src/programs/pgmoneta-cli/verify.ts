import { resolve } from 'node:path';
import type { CommandInput } from '../shared/declare.js';
import { checkWord } from '../shared/parse.js';
import { ask } from './ask.js';

const FILES = ['failed', 'all'];

/** `verify`: a single word after the identifier is the choice of files when it is one, else the directory. */
export function verify(input: CommandInput): Promise<number> {
  const { server = null, identifier = null } = input.args;
  let { directory, files } = input.args;
  if (files === undefined && directory !== undefined && FILES.includes(directory)) {
    files = directory;
    directory = undefined;
  }
  checkWord('<files>', FILES, files ?? 'failed');
  const request = {
    Server: server,
    Backup: identifier,
    Directory: directory === undefined ? null : resolve(directory),
    Files: files ?? 'failed',
    ...(input.flags.has('pages') ? { Pages: true } : {}),
  };
  return ask('verify', request, input, directory === undefined ? 'verify without a directory' : undefined);
}
