import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { PgmonetaError } from '../errors/index.js';

const require = createRequire(import.meta.url);

/** Every call asks for the addon, and finding out the platform takes milliseconds: it is done once. */
let loaded: unknown;

/** The platform name that napi-rs gives the addon, for example `linux-x64-gnu`. */
export function platformName(): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined)?.header;
  return `${base}-${header?.glibcVersionRuntime ? 'gnu' : 'musl'}`;
}

/**
 * Loads the addon: the one built in this tree when there is one, else the prebuilt package of the platform.
 * @throws PgmonetaError NATIVE when neither is there.
 */
export function loadAddon<T>(): T {
  loaded ??= findAddon();
  return loaded as T;
}

function findAddon(): unknown {
  const platform = platformName();
  const local = fileURLToPath(new URL(`../../crates/node/addon/pgmoneta.${platform}.node`, import.meta.url));
  const failures: string[] = [];
  for (const candidate of [local, `pgmoneta-${platform}`]) {
    try {
      return require(candidate);
    } catch (error) {
      failures.push(`${candidate}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new PgmonetaError('NATIVE', `the native core for ${platform} cannot be loaded: ${failures.join('; ')}`, {
    hint: `install the package pgmoneta-${platform}, or build it with: npm run build:native`,
  });
}
