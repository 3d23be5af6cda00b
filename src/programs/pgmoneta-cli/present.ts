import { appendFile } from 'node:fs/promises';
import { ERROR_TABLE } from '../../errors/index.js';
import type { ManagementReply } from '../../management/client-exchange.js';
import { failureOf, timestamp } from '../../management/documents.js';
import type { JsonObject } from '../../management/json/index.js';
import { EXIT } from '../shared/exit-codes.js';
import { renderJson } from '../shared/render/json.js';
import { renderText } from '../shared/render/text.js';
import { translate } from './render/translate.js';
import type { CliSettings, Format } from './settings.js';

/** The text of a reply document in a format. */
export function render(document: JsonObject, format: Format): string {
  if (format === 'raw') return renderJson(document);
  const translated = translate(document);
  return format === 'json' ? renderJson(translated) : renderText(translated);
}

/** Prints a reply and what it means. @returns the exit code */
export async function present(reply: ManagementReply, settings: CliSettings): Promise<number> {
  printOut(render(reply.document, settings.format), settings);
  return conclude(reply, settings);
}

/** Writes to standard output, unless silence was asked for. */
export function printOut(text: string, settings: CliSettings): void {
  if (!settings.quiet) process.stdout.write(text);
}

/** Tells on standard error whether the command failed, and why. @returns the exit code */
export async function conclude(reply: ManagementReply, settings: CliSettings): Promise<number> {
  const failure = failureOf(reply.document);
  const lines: string[] = [];
  if (failure !== undefined) {
    lines.push(`error ${failure.number}: ${failure.message === '' ? meaningOf(failure.number) : failure.message}`);
    if (failure.hint !== undefined) lines.push(`hint: ${failure.hint}`);
  }
  if (settings.verbose) lines.push(failure === undefined ? 'Success (0)' : `Error (${failure.number})`);
  await tell(lines, settings);
  return failure === undefined || settings.exitZero ? EXIT.ok : EXIT.failed;
}

/** Lines for standard error, and for the log file where one is wanted. */
export async function tell(lines: readonly string[], settings: CliSettings): Promise<void> {
  if (lines.length === 0) return;
  process.stderr.write(`${lines.join('\n')}\n`);
  if (settings.logfile === undefined) return;
  const now = timestamp(new Date());
  await appendFile(settings.logfile, lines.map((line) => `${now} pgmoneta-cli: ${line}\n`).join(''), {
    mode: 0o600,
  }).catch((error: Error) => process.stderr.write(`pgmoneta-cli: the log file cannot be written: ${error.message}\n`));
}

/** pgmoneta (C) sends no text: the meaning of its number. */
function meaningOf(number: number): string {
  const row = Object.values(ERROR_TABLE).find(({ wire }) => wire === number);
  return row?.meaning ?? 'the command failed; look into the log of the daemon';
}
