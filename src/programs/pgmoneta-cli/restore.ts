import { resolve } from 'node:path';
import { isJsonObject, type JsonObject, type JsonValue } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';
import { sendRequest } from './exchange.js';
import { present, printOut } from './present.js';
import { formatSize } from './render/size.js';
import { readSettings } from './settings.js';
import { tablespaceMap } from './tablespace-map.js';

/** `restore`: relative directories are those of the user, not of the daemon. */
export async function restore(input: CommandInput): Promise<number> {
  const { server = null, identifier = null, position = null, directory = '' } = input.args;
  const { flags } = input;
  const request = { Server: server, Backup: identifier, Position: position, Directory: resolve(directory) };
  const ours = {
    ...tablespaceMap(flags.list('tablespace-map')),
    ...(flags.has('relative-links') ? { RelativeLinks: true } : {}),
    ...(flags.has('delta') ? { Delta: true } : {}),
    ...(flags.has('force') ? { Force: true } : {}),
    ...(flags.has('wal') ? { Wal: flags.text('wal') ?? null } : {}),
    ...(flags.has('allow-mixed-checksums') ? { AllowMixedChecksums: true } : {}),
    ...(flags.has('extra') ? { Extra: resolve(flags.text('extra') ?? '') } : {}),
    ...(flags.has('dry-run') ? { DryRun: true } : {}),
  };
  // pgmoneta (C) would ignore them, and restore to another place than was meant.
  const options =
    '--delta, --tablespace-map, --relative-links, --force, --wal, --allow-mixed-checksums, --extra and --dry-run';
  const settings = await readSettings(flags);
  const needs = Object.keys(ours).length === 0 ? undefined : options;
  const { reply } = await sendRequest(settings, 'restore', { ...request, ...ours }, needs);
  const answer = await reply;
  const { Response: response } = answer.document;
  const brief = settings.format === 'text' && !settings.verbose && isJsonObject(response);
  const shown = brief ? { ...answer, document: { ...answer.document, Response: withoutNames(response) } } : answer;
  const code = await present(shown, settings);
  if (code === EXIT.ok && settings.format === 'text' && isJsonObject(response)) {
    printOut(advice(response, server ?? ''), settings);
  }
  return code;
}

/** The names of the files that a delta restore would write are many: they are for `--verbose` and for programs. */
export function withoutNames(response: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(response).filter(([key]) => !/^(New|Removed|Rewritten)Paths$/.test(key)));
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** What to know and to do after a restore. Nothing for a daemon that does not tell. */
export function advice(response: JsonObject, server: string): string {
  const [directory, target] = [text(response.Directory), text(response.Target)];
  if (directory === '' || target === '') return '';
  const version = text(response.MajorVersion);
  const warnings = Array.isArray(response.Warnings)
    ? response.Warnings.map((warning) => `Warning: ${text(warning)}`)
    : [];
  const kept = reuse(response);
  if (response.DryRun === true) {
    return `${['', ...warnings, ...kept, `Nothing was changed. The restored server would be in ${directory}; when it is started, it ${target}.`].join('\n')}\n`;
  }
  const lines = [
    '',
    ...warnings,
    ...kept,
    `PostgreSQL ${version} is restored in ${directory}. When it is started, it ${target}.`,
    `Start it as the user who owns it: pg_ctl -D ${shellWord(directory)} start`,
  ];
  if (target.includes('then pauses')) {
    lines.push('Look around, then end recovery and promote it: SELECT pg_wal_replay_resume()');
  } else if (target.includes('then shuts down')) {
    lines.push('Each start recovers to the same place; to go on from there remove recovery.signal first.');
  }
  lines.push(`Take a new full backup as soon as it is a primary: pgmoneta-cli backup ${shellWord(server)}`);
  return `${lines.join('\n')}\n`;
}

/** What `--delta` does with the files of the cluster. */
function reuse(response: JsonObject): string[] {
  if (response.KeptFiles === undefined) return [];
  const [be, stay] = response.DryRun === true ? ['would be', 'would stay'] : ['were', 'stayed'];
  const files = (key: string): string => `${text(response[`${key}Files`])} (${formatSize(Number(response[key]))})`;
  return [
    `Files: ${files('Kept')} ${stay} as they are, ${files('Rewritten')} ${be} rewritten, ${files('New')} ${be} added, ${files('Removed')} ${be} removed.`,
  ];
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
