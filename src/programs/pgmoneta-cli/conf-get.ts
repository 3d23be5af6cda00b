import { closest } from '../../config/text/suggest.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';
import { renderJson } from '../shared/render/json.js';
import { renderValue } from '../shared/render/text.js';
import { sendRequest } from './exchange.js';
import { conclude, present, printOut, tell } from './present.js';
import { translate, translateConfiguration } from './render/translate.js';
import { readSettings } from './settings.js';

/** `conf get [<key>]`: the daemon sends everything, the key is picked here. */
export async function confGet(input: CommandInput): Promise<number> {
  const settings = await readSettings(input.flags);
  const { reply: pending } = await sendRequest(settings, 'conf get', {});
  const reply = await pending;
  const { key } = input.args;
  if (key === undefined) return present(reply, settings);
  const { response, document } = reply;
  if (!reply.ok || response === undefined) {
    printOut(settings.format === 'json' ? renderJson(translate(document)) : 'Error\n', settings);
    return conclude(reply, settings);
  }
  const value = pickKey(translateConfiguration(response), key);
  if (value === undefined) {
    const failed = { ...translate(document), Outcome: { ...reply.outcome, Status: false }, Response: {} };
    printOut(settings.format === 'json' ? renderJson(failed) : 'Error\n', settings);
    const near = closest(key, allKeys(response));
    await tell(
      [
        `error: the configuration has no key '${key}'`,
        `hint: ${near === undefined ? 'see all keys with: pgmoneta-cli conf get' : `did you mean ${near}?`}`,
      ],
      settings,
    );
    return EXIT.usage;
  }
  if (settings.format === 'json') {
    printOut(renderJson({ ...translate(document), Response: { [key]: value } }), settings);
  } else {
    const enriched = isJsonObject(value) && typeof value.string_value === 'string' ? value.string_value : value;
    printOut(renderValue(enriched), settings);
  }
  return conclude(reply, settings);
}

/** The value of `key`, `pgmoneta.key`, `server.<name>` or `server.<name>.key`. A server's name may have points. */
export function pickKey(response: JsonObject, key: string): JsonValue | undefined {
  if (!key.includes('.')) return key === 'server' ? undefined : own(response, key);
  if (key.startsWith('pgmoneta.')) return own(response, key.slice('pgmoneta.'.length));
  if (!key.startsWith('server.') || !isJsonObject(response.server)) return undefined;
  const rest = key.slice('server.'.length);
  for (const [name, server] of Object.entries(response.server)) {
    if (rest === name) return server;
    if (rest.startsWith(`${name}.`) && isJsonObject(server)) return own(server, rest.slice(name.length + 1));
  }
  return undefined;
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function allKeys(response: JsonObject): string[] {
  const servers = isJsonObject(response.server) ? Object.entries(response.server) : [];
  return [
    ...Object.keys(response),
    ...servers.flatMap(([name, server]) =>
      Object.keys(isJsonObject(server) ? server : {}).map((key) => `server.${name}.${key}`),
    ),
  ];
}
