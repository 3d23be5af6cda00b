import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FETCH_FAILED, fetchCommand } from '../../../src/restore/restore-command.js';
import { temporaryDirectory } from '../temporary.js';

/** What PostgreSQL makes of a restore_command. */
function expand(command: string, file: string, path: string): string {
  return command.replace(/%(.)/g, (_, letter) => ({ f: file, p: path })[letter as string] ?? letter);
}

function makeCommand() {
  const directory = join(temporaryDirectory(), `it's 100% odd "here" $HOME`);
  mkdirSync(directory);
  const program = join(directory, 'program.mjs');
  const output = join(directory, 'output');
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs';
writeFileSync(${JSON.stringify(output)}, JSON.stringify([process.env.HOME, ...process.argv.slice(2)]));
process.exit(1);`,
  );
  const configuration = join(directory, 'pgmoneta.conf');
  const command = fetchCommand({ node: process.execPath, program, configuration, server: 'primary', home: directory });
  return { directory, program, output, configuration, command };
}

describe('the restore_command', () => {
  it('comes through PostgreSQL and the shell as it was meant', () => {
    const { directory, output, configuration, command } = makeCommand();
    const line = expand(command, '000000010000000000000003', 'pg_wal/RECOVERYXLOG');
    expect(spawnSync('/bin/sh', ['-c', line]).status).toBe(1);
    const given = JSON.parse(readFileSync(output, 'utf8'));
    expect(given).toEqual([
      directory,
      'wal-get',
      '-c',
      configuration,
      '--',
      'primary',
      '000000010000000000000003',
      'pg_wal/RECOVERYXLOG',
    ]);
  });

  it('stops recovery when the program has gone', () => {
    const { program, command } = makeCommand();
    execFileSync('rm', [program]);
    expect(spawnSync('/bin/sh', ['-c', expand(command, 'a', 'b')]).status).toBe(FETCH_FAILED);
    expect(FETCH_FAILED).toBeGreaterThan(125);
  });
});
