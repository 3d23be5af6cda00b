import type { JsonObject } from '../jobs/messages.js';
import { optionalText } from '../jobs/request.js';
import { serverOf } from '../jobs/servers.js';
import type { TrackedJob } from './job-tracker.js';
import type { DaemonState } from './state.js';

/**
 * How far the jobs of a server are. The keys of pgmoneta 0.21 tell of one job: of the verb in `Command` when one of that
 * verb runs, else the one that began first; `Jobs` tells of all. With no job all figures are 0.
 */
export function progressVerb(state: DaemonState, request: JsonObject): JsonObject {
  const server = serverOf(state.configuration, request, 'PROGRESS_NOSERVER');
  const jobs = state.supervisor.progress(server.name);
  const wanted = optionalText(request, 'Command');
  const job = jobs.find(({ verb }) => verb === wanted) ?? jobs[0];
  const { version } = state.servers.state(server.name, state.supervisor);
  return {
    ...(job === undefined ? IDLE : jobFields(job)),
    Jobs: jobs.map(jobFields),
    MajorVersion: version,
    MinorVersion: 0,
    ProgressState: job === undefined ? 0 : 1,
    Server: server.name,
  };
}

const IDLE: JsonObject = {
  Done: 0,
  Elapsed: 0,
  Percentage: 0,
  Phase: '',
  Rate: 0,
  Remaining: seconds(0),
  Total: 0,
  Unit: '',
  Workflow: '',
};

function jobFields({ verb, phase, done, total, unit, rate, elapsed, percentage, remaining }: TrackedJob): JsonObject {
  return {
    Done: Math.round(done),
    Elapsed: Math.floor(elapsed),
    Percentage: percentage,
    Phase: phase,
    Rate: Math.round(rate),
    Remaining: seconds(remaining ?? 0),
    Total: Math.round(total),
    Unit: unit,
    Workflow: verb,
  };
}

/** A duration in the form of the protocol. */
function seconds(value: number): JsonObject {
  const whole = Math.ceil(value);
  return { string_value: `${whole}s`, value: whole };
}
