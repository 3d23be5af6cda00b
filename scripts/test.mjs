#!/usr/bin/env node
/**
 * Sets up and runs every check: formatting, lint, types, Rust tests, and the tests of TypeScript from unit tests to
 * fault injection on real servers. The last line is `N passed, M failed` (`, K skipped`).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { must, ROOT, run, script, seconds } from './lib/run.mjs';
import { add, closingLine, nothing, tallyCargo, tallyVitest } from './lib/tally.mjs';

const VITEST = ['unit', 'integration', 'compat', 'faults'];
const PARTS = ['lint', 'rust', ...VITEST];
const USAGE = `Usage: npm test [-- PART... [-- VITEST-OPTION...]]
  PART is any of: ${PARTS.join(' ')}; without one all of them run
  options after a second -- go to vitest, for instance: npm test -- integration -- -t tablespaces
`;

/** @param {string} line */
const say = (line) => process.stdout.write(`${line}\n`);

/** Each check of the linters counts as one. */
const CHECKS = [
  ['formatting and lint of TypeScript', 'npx', ['--no-install', 'biome', 'check', '--error-on-warnings', '.']],
  ['types of the product', 'npx', ['--no-install', 'tsc', '--noEmit', '--project', 'tsconfig.json']],
  ['types of tests and scripts', 'npx', ['--no-install', 'tsc', '--noEmit', '--project', 'test/tsconfig.json']],
  ['formatting of Rust', 'cargo', ['fmt', '--check']],
  ['clippy', 'cargo', ['clippy', '--quiet', '--workspace', '--all-targets', '--', '--deny', 'warnings']],
];

async function lint() {
  let tally = nothing();
  for (const [name, file, args] of /** @type {[string, string, string[]][]} */ (CHECKS)) {
    const start = performance.now();
    const result = await run(file, args);
    const good = result.exit === 0;
    say(`  ${good ? 'ok  ' : 'FAIL'} ${name} (${seconds(start)} s)`);
    if (!good) say(result.output.trimEnd().split('\n').slice(-80).join('\n'));
    tally = add(tally, { ...nothing(), [good ? 'passed' : 'failed']: 1 });
  }
  return tally;
}

async function rust() {
  const result = await run('cargo', ['test', '--workspace', '--no-fail-fast'], { echo: true });
  const tally = tallyCargo(result.output);
  return result.exit !== 0 && tally.failed === 0 ? add(tally, { ...nothing(), failed: 1 }) : tally;
}

/** @param {string[]} projects @param {string[]} options */
async function vitest(projects, options) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pgmoneta-test-'));
  const report = path.join(folder, 'report.json');
  try {
    const selection = projects.flatMap((name) => ['--project', name]);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const args = ['--no-install', 'vitest', 'run', '--passWithNoTests', ...selection, ...reporters, ...options];
    const result = await run('npx', args, { echo: true });
    const tally = tallyVitest(JSON.parse(readFileSync(report, 'utf8')));
    return result.exit !== 0 && tally.failed === 0 ? add(tally, { ...nothing(), failed: 1 }) : tally;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string[]} parts @param {string[]} options */
async function runParts(parts, options) {
  let total = nothing();
  if (parts.includes('lint')) {
    say('--- lint');
    total = add(total, await lint());
  }
  if (parts.includes('rust')) {
    say('--- rust');
    total = add(total, await rust());
  }
  // Unit tests by themselves: what starts servers must not slow them down.
  for (const projects of [['unit'], ['integration', 'compat', 'faults']]) {
    const chosen = projects.filter((name) => parts.includes(name));
    if (chosen.length === 0) continue;
    say(`--- ${chosen.join(', ')}`);
    total = add(total, await vitest(chosen, options));
  }
  return total;
}

async function main() {
  const args = process.argv.slice(2);
  const divider = args.indexOf('--');
  const parts = divider < 0 ? args : args.slice(0, divider);
  const options = divider < 0 ? [] : args.slice(divider + 1);
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) {
    process.stderr.write(`test: unknown part ${unknown}\n${USAGE}`);
    return unknown === '--help' || unknown === '-?' ? 0 : 2;
  }
  const start = performance.now();
  const chosen = parts.length > 0 ? parts : PARTS;
  const needsServers = chosen.some((part) => part !== 'lint' && part !== 'rust' && part !== 'unit');
  await must(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), ...(needsServers ? ['--servers'] : [])], {
    echo: true,
    hint: 'nothing can be tested before this is mended',
  });
  const total = await runParts(chosen, options);
  say(`all checks took ${seconds(start)} s`);
  say(closingLine(total));
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

await script('test', main);
