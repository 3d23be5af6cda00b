import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Where the time of day is meant, by file: what goes to people, onto the wire and into names. */
const TIME_OF_DAY: Readonly<Record<string, RegExp>> = {
  'daemon/log.ts': /timestamp: \(\) => `,"time":\$\{Date\.now\(\)\}`/,
  'daemon/log-format.ts': /record\.time : Date\.now\(\)/,
  'jobs/remove-backup.ts': /process\.pid\}-\$\{Date\.now\(\)\}/,
  'jobs/roll-up.ts': /process\.pid\}-\$\{Date\.now\(\)\}/,
  'wal/receiver.ts': /retryAt: new Date\(Date\.now\(\) \+ wait\)/,
  'wal/pushed-intake.ts': /statusUpdate\(status, Date\.now\(\)\)/,
};

/** Folders whose code waits, repeats and gives up. */
const FOLDERS = ['daemon', 'jobs', 'management', 'native', 'postgres', 'wal'];

describe('the time of day', () => {
  it('governs no timeout and no interval: it jumps', () => {
    const source = new URL('../../src/', import.meta.url);
    const found = FOLDERS.flatMap((folder) =>
      readdirSync(new URL(`${folder}/`, source), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `${folder}/${name}`),
    ).flatMap((file) =>
      readFileSync(new URL(file, source), 'utf8')
        .split('\n')
        .filter((line) => line.includes('Date.now()') && !TIME_OF_DAY[file]?.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });
});
