import type { CommandName } from '../../management/commands.js';
import type { JsonObject } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { sendRequest } from './exchange.js';
import { present } from './present.js';
import { readSettings } from './settings.js';

/**
 * Asks the daemon and prints its answer: what most commands do.
 * @param needsProduct what only our own daemon can do, in words, when the request asks for it
 * @returns the exit code
 */
export async function ask(
  command: CommandName,
  request: JsonObject,
  input: CommandInput,
  needsProduct?: string,
): Promise<number> {
  const settings = await readSettings(input.flags);
  const { reply } = await sendRequest(settings, command, request, needsProduct);
  return present(await reply, settings);
}
