import { numberOf, textOf } from '../../management/documents.js';
import { isJsonObject, type JsonObject } from '../../management/json/index.js';
import type { CommandInput } from '../shared/declare.js';
import { sendRequest } from './exchange.js';
import { conclude, present, printOut } from './present.js';
import { clock, progressLine } from './progress-bar.js';
import { readSettings } from './settings.js';

/** Wide enough for a whole line when it is not written to a terminal. */
const COLUMNS = 200;

/** `progress`: for people one line for each job, instead of the document. @returns the exit code */
export async function progress(input: CommandInput): Promise<number> {
  const settings = await readSettings(input.flags);
  const { server = null, command = null } = input.args;
  const { reply } = await sendRequest(settings, 'progress', { Server: server, Command: command });
  const answer = await reply;
  const { Response: response } = answer.document;
  // A daemon of pgmoneta 0.21 tells of one job, without its name.
  if (settings.format !== 'text' || !isJsonObject(response) || response.Jobs === undefined) {
    return present(answer, settings);
  }
  // An empty list arrives as an empty object.
  const jobs = Array.isArray(response.Jobs) ? response.Jobs.filter(isJsonObject) : [];
  printOut(progressText(textOf(response.Server), jobs, process.stdout.columns || COLUMNS), settings);
  return conclude(answer, settings);
}

/** The lines for the jobs of a server; one that says so when there is none. */
export function progressText(server: string, jobs: readonly JsonObject[], columns: number): string {
  if (jobs.length === 0) return `nothing runs for ${server}\n`;
  return jobs.map((job) => `${jobLine(server, job, columns)}\n`).join('');
}

function jobLine(server: string, job: JsonObject, columns: number): string {
  const name = `${textOf(job.Workflow)} of ${server}: `;
  const share = `${numberOf(job.Percentage) ?? 0}% in ${clock(numberOf(job.Elapsed) ?? 0)}, `;
  const remaining = numberOf(job.Remaining) ?? 0;
  const report = {
    phase: textOf(job.Phase) || 'starting',
    done: numberOf(job.Done) ?? 0,
    total: numberOf(job.Total) ?? 0,
    unit: textOf(job.Unit),
    rate: numberOf(job.Rate),
    remaining: remaining > 0 ? remaining : undefined,
  };
  return name + share + progressLine(report, Math.max(0, columns - name.length - share.length));
}
