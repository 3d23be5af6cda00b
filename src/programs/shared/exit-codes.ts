/** Exit codes of every program. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** The command line or a configuration file is wrong; nothing was done. */
  usage: 1,
  /** The daemon could not be reached, refused the user, or went away. */
  connection: 2,
  /** The command was carried out and failed. */
  failed: 3,
  /** Interrupted; the daemon was left to its work. */
  interrupted: 130,
} as const;
