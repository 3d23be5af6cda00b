import { resolve } from 'node:path';
import { isJsonObject, type JsonValue } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';
import { checkWord } from '../shared/parse.js';
import { sendRequest } from './exchange.js';
import { present, tell } from './present.js';
import { readSettings } from './settings.js';

const FILES = ['failed', 'all'];

/** `verify`, which also fails when the backup has a fault. A single word after the identifier is the choice of files when it is one, else the directory. */
export async function verify(input: CommandInput): Promise<number> {
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
  const settings = await readSettings(input.flags);
  const needs = directory === undefined ? 'verify without a directory' : undefined;
  const { reply } = await sendRequest(settings, 'verify', request, needs);
  const answer = await reply;
  const code = await present(answer, settings);
  const faults = failedFiles(answer.document.Response);
  if (code !== EXIT.ok || faults === 0 || settings.exitZero) return code;
  await tell([`verify: ${faults} ${faults === 1 ? 'file is' : 'files are'} not as they should be`], settings);
  return EXIT.failed;
}

/** How many files a reply lists as failed; an empty list arrives as an empty object. */
function failedFiles(response: JsonValue | undefined): number {
  const files = isJsonObject(response) ? response.Files : undefined;
  const failed = isJsonObject(files) ? files.Failed : undefined;
  return Array.isArray(failed) ? failed.length : 0;
}
