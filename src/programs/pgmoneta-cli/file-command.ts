import { resolve } from 'node:path';
import { asPgmonetaError } from '../../errors/index.js';
import type { CommandInput } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';
import { type SentRequest, sendRequest } from './exchange.js';
import { type FileVerb, runLocally } from './local-files.js';
import { present, tell } from './present.js';
import { type CliSettings, readSettings } from './settings.js';

/**
 * `encrypt`, `decrypt`, `compress`, `decompress`: by the daemon when it can be reached, else here.
 * @returns the exit code
 */
export async function fileCommand(verb: FileVerb, input: CommandInput): Promise<number> {
  const settings = await readSettings(input.flags);
  // The daemon has another working directory.
  const path = resolve(input.args.file ?? '');
  const sent = await trySend(settings, verb, path);
  if (sent !== undefined) return present(await sent.reply, settings);
  await runLocally(verb, path);
  if (settings.verbose) await tell(['Success (0)'], settings);
  return EXIT.ok;
}

/** Undefined when the daemon cannot be reached. Once the request is sent there is no way back to a local run. */
async function trySend(settings: CliSettings, verb: FileVerb, path: string): Promise<SentRequest | undefined> {
  try {
    return await sendRequest(settings, verb, { SourceFile: path });
  } catch (error) {
    const { code } = asPgmonetaError(error);
    if (code === 'CONNECTION' || code === 'USAGE') return undefined;
    throw error;
  }
}
