/** What a `restore_command` of ours is made of. All paths are absolute. */
export interface FetchCommand {
  /** The Node that runs the daemon. */
  readonly node: string;
  /** The starter of `pgmoneta-cli`. */
  readonly program: string;
  /** Configuration of the daemon. */
  readonly configuration: string;
  readonly server: string;
  /** Where the master key is: servers are often started without HOME. */
  readonly home: string;
}

/** Exit code for everything that must stop recovery: PostgreSQL takes codes above 125 for more than "not there". */
export const FETCH_FAILED = 200;

/** In single quotes for the shell; PostgreSQL's own `%` is doubled. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`;
}

/**
 * The `restore_command` that takes WAL out of the repository, with the daemon or without it. A program that has gone
 * must stop recovery: Node's exit code for that would mean that there is no more WAL.
 */
export function fetchCommand({ node, program, configuration, server, home }: FetchCommand): string {
  const run = `HOME=${quote(home)} ${quote(node)} ${quote(program)} wal-get -c ${quote(configuration)}`;
  return `test -r ${quote(program)} || exit ${FETCH_FAILED}; ${run} -- ${quote(server)} %f "%p"`;
}
