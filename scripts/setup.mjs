#!/usr/bin/env node
/**
 * Prepares a checkout: npm packages, the native addon, the compiled TypeScript, and (with --servers) the PostgreSQL
 * servers of the tests. Builds only what is stale; works as root and as an ordinary user.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Failure, must, ROOT, run, script, seconds } from './lib/run.mjs';
import { installServers } from './lib/servers.mjs';
import { dependenciesInstalled, fingerprint, isFresh, remember } from './lib/stale.mjs';

const USAGE = `Usage: node scripts/setup.mjs [--servers] [--force] [--quiet]
  --servers  also install PostgreSQL 14 to 18 for tests, demo and benchmarks
  --force    build again although nothing changed
  --quiet    say only what is being done, nothing when all is ready
`;
const ADDON = 'crates/node/addon';
const OLDEST_NODE = [20, 17];

/** @param {string} line */
const say = (line) => process.stdout.write(`setup: ${line}\n`);

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantMajor = 0, wantMinor = 0] = OLDEST_NODE;
  if (major > wantMajor || (major === wantMajor && minor >= wantMinor)) return;
  throw new Failure(`Node ${process.versions.node} is too old`, `install Node ${OLDEST_NODE.join('.')} or newer`);
}

async function installDependencies() {
  if (dependenciesInstalled('.')) return;
  const start = performance.now();
  say('installing npm packages');
  // Not `npm ci`: it refuses where a registry lacks a build of an optional package for another platform, which nobody
  // here needs. The versions are those of the lock file all the same.
  await must('npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    hint: 'the packages come from the npm registry; check the network and try again',
  });
  say(`npm packages installed in ${seconds(start)} s`);
}

/** Whether an addon for this platform lies in its folder. */
function addonExists() {
  const folder = path.join(ROOT, ADDON);
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.node'));
}

async function rustVersion() {
  const cargo = await run('cargo', ['--version']).catch(() => undefined);
  return cargo?.exit === 0 ? cargo.output.trim() : undefined;
}

/** @param {boolean} force */
async function buildAddon(force) {
  const rust = await rustVersion();
  const digest = fingerprint(['Cargo.toml', 'Cargo.lock', 'crates'], {
    ignore: /^crates\/node\/addon(\/|$)|\/(target|benches|fuzz)(\/|$)/,
    also: [process.platform, process.arch],
  });
  if (!force && addonExists() && isFresh(`${ADDON}/.stamp`, digest)) return;
  if (rust === undefined) {
    throw new Failure(
      'cargo was not found, and the native addon has to be built',
      'install Rust 1.88 or newer (rustup, or your distribution), then run this again',
    );
  }
  const start = performance.now();
  say(`building the native addon with ${rust} (a few minutes the first time)`);
  await must('npm', ['run', '--silent', 'build:native'], { hint: 'see the compiler messages above' });
  remember(`${ADDON}/.stamp`, digest);
  say(`native addon built in ${seconds(start)} s`);
}

/** @param {boolean} force */
async function buildTypeScript(force) {
  const digest = fingerprint(['src', 'tsconfig.json', 'package.json', 'package-lock.json']);
  if (!force && isFresh('dist/.stamp', digest)) return;
  const start = performance.now();
  // A removed source must not live on as compiled code, and an incremental build would not write it anew.
  rmSync(path.join(ROOT, 'dist'), { recursive: true, force: true });
  rmSync(path.join(ROOT, 'tsconfig.tsbuildinfo'), { force: true });
  await must('npm', ['run', '--silent', 'build:ts'], { hint: 'see the compiler messages above' });
  remember('dist/.stamp', digest);
  say(`TypeScript compiled in ${seconds(start)} s`);
}

async function main() {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-?')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const unknown = args.find((arg) => !['--servers', '--force', '--quiet'].includes(arg));
  if (unknown !== undefined) {
    process.stderr.write(`setup: unknown option ${unknown}\n${USAGE}`);
    return 2;
  }
  const start = performance.now();
  checkNode();
  await installDependencies();
  await buildAddon(args.includes('--force'));
  await buildTypeScript(args.includes('--force'));
  if (args.includes('--servers')) await installServers(say);
  if (!args.includes('--quiet')) say(`ready (${seconds(start)} s)`);
  return 0;
}

await script('setup', main);
