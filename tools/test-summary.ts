/** Counts the results of a test run from vitest's JSON report. */

/** What a run came to. */
export interface TestSummary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of the report that is read here. */
export interface TestReport {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Counts tests; a file that failed without a failed test (it could not be loaded) counts as one failure.
 *
 * `exitCode` is vitest's own: errors outside any test set it, and then count as one failure as well.
 */
export function summarise(report: TestReport, exitCode: number): TestSummary {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const { status, assertionResults } of report.testResults) {
    const failedHere = assertionResults.filter((test) => test.status === 'failed').length;
    const passedHere = assertionResults.filter((test) => test.status === 'passed').length;
    passed += passedHere;
    failed += failedHere === 0 && status === 'failed' ? 1 : failedHere;
    skipped += assertionResults.length - failedHere - passedHere;
  }
  if (failed === 0 && exitCode !== 0) failed = 1;
  return { passed, failed, skipped };
}

/** The closing line of a run. */
export function formatSummary({ passed, failed, skipped }: TestSummary): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** True when something ran and nothing failed: a run of no tests has shown nothing. */
export function isGood({ passed, failed }: TestSummary): boolean {
  return passed > 0 && failed === 0;
}
