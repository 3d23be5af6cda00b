import { PgmonetaError } from '../errors/index.js';

/** Version of a server. */
export interface ServerVersion {
  /** 13, 14, ... */
  readonly major: number;
  /** 0 for development, alpha, beta and release candidate versions. */
  readonly minor: number;
  /** As the server says it, for example `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly text: string;
}

/** The oldest major version that pgmoneta works with. */
export const OLDEST_MAJOR = 13;

/**
 * Reads the parameter `server_version`, for example `17.9`, `18beta1`, `15.18 (Debian 15.18-0+deb12u1)`, `9.6.24`.
 * @throws PgmonetaError POSTGRES_PROTOCOL when it begins with no number
 */
export function parseVersion(text: string): ServerVersion {
  const parts = /^([0-9]+)(?:\.([0-9]+))?/.exec(text);
  if (parts === null) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `the server gives "${text}" as its version, which is not understood`);
  }
  return { major: Number(parts[1]), minor: Number(parts[2] ?? 0), text };
}
