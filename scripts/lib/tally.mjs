/** Adds up what test runners say they did. */

/** @typedef {{passed: number, failed: number, skipped: number}} Tally */

/** @returns {Tally} */
export const nothing = () => ({ passed: 0, failed: 0, skipped: 0 });

/** @param {Tally} one @param {Tally} other @returns {Tally} */
export function add(one, other) {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  };
}

/**
 * The results of `cargo test`: one line per test binary, `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
 * A build that fails prints none: the caller counts that as one failure.
 * @param {string} output @returns {Tally}
 */
export function tallyCargo(output) {
  let total = nothing();
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    total = add(total, { passed: Number(passed), failed: Number(failed), skipped: Number(ignored) });
  }
  return total;
}

/**
 * The summary of vitest's JSON report.
 * @param {{numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests?: number, numFailedTestSuites?: number, testResults?: {status: string, assertionResults: unknown[]}[]}} report
 * @returns {Tally}
 */
export function tallyVitest(report) {
  // A file that could not be loaded has no tests to fail, and still is a failure.
  const broken = (report.testResults ?? []).filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/** The closing line. @param {Tally} tally */
export function closingLine(tally) {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}
