import type { ManagementReply } from '../../management/client-exchange.js';
import { failureOf } from '../../management/documents.js';
import type { JsonObject, JsonValue } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { renderJson } from '../shared/render/json.js';
import { renderValue } from '../shared/render/text.js';
import { sendRequest } from './exchange.js';
import { conclude, printOut } from './present.js';
import { readSettings } from './settings.js';

/** `conf set <key> <value>`: json prints the document as it came, text and raw a few lines. */
export async function confSet(input: CommandInput): Promise<number> {
  const settings = await readSettings(input.flags);
  const { key = '', value = '' } = input.args;
  const { reply: pending } = await sendRequest(settings, 'conf set', {
    ConfigKey: key,
    ConfigValue: value,
    ...(input.flags.has('persist') ? { Persist: true } : {}),
  });
  const reply = await pending;
  printOut(settings.format === 'json' ? renderJson(reply.document) : confSetText(reply, key), settings);
  return conclude(reply, settings);
}

/** The lines of text and raw. */
export function confSetText(reply: ManagementReply, key: string): string {
  if (!reply.ok) return failureText(reply.document, key);
  const response = reply.response ?? {};
  const shown = (name: string) => text(response[name]);
  const file = response.persisted_to === undefined ? '' : `   Written to: ${shown('persisted_to')}\n`;
  if (response.status === 'success') {
    return `Configuration change applied successfully
   Parameter: ${key}
   Old value: ${shown('old_value')}
   New value: ${shown('new_value')}
   Status: Active (applied to running instance)
${file}`;
  }
  if (response.status === 'success_restart_required') {
    return `Configuration change requires manual restart
   Parameter: ${key}
   Current value: ${shown('current_value')} (unchanged in running instance)
   Requested value: ${shown('requested_value')} (cannot be applied to live instance)
   Status: Requires full service restart
${file}`;
  }
  return `Configuration operation completed
   Parameter: ${key}
   Check server logs for details
`;
}

/** pgmoneta (C) gives no reason and lays every failure on the form of the key. */
function failureText(document: JsonObject, key: string): string {
  const message = failureOf(document)?.message ?? '';
  if (message !== '') return `Configuration change failed\n   Parameter: ${key}\n   Reason: ${message}\n`;
  return `Configuration change failed
   Invalid key format: '${key}'
   Valid formats: 'key', 'section.key', or 'section.context.key'
`;
}

function text(value: JsonValue | undefined): string {
  return value === undefined ? '' : renderValue(value).trimEnd();
}
