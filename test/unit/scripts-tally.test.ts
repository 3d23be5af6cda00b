import { expect, test } from 'vitest';
import { add, closingLine, nothing, tallyCargo, tallyVitest } from '../../scripts/lib/tally.mjs';

test('the lines of all test binaries of cargo are added up', () => {
  const output = [
    'running 3 tests',
    'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    '',
    'test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s',
  ].join('\n');
  expect(tallyCargo(output)).toEqual({ passed: 4, failed: 2, skipped: 1 });
});

test('a build of cargo that failed has no results', () => {
  expect(tallyCargo('error: could not compile `pgmoneta-core`')).toEqual(nothing());
});

test('a file that vitest could not load is a failure', () => {
  const report = {
    numPassedTests: 5,
    numFailedTests: 1,
    numPendingTests: 2,
    testResults: [
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{}] },
      { status: 'passed', assertionResults: [{}] },
    ],
  };
  expect(tallyVitest(report)).toEqual({ passed: 5, failed: 2, skipped: 2 });
});

test('the closing line names skipped tests only when there are some', () => {
  expect(closingLine({ passed: 7, failed: 0, skipped: 0 })).toBe('7 passed, 0 failed');
  expect(closingLine(add({ passed: 7, failed: 1, skipped: 0 }, { passed: 0, failed: 0, skipped: 2 }))).toBe(
    '7 passed, 1 failed, 2 skipped',
  );
});
