/**
 * Runs vitest with the given arguments (all projects when there are none) and prints, as the last line,
 * `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatSummary, isGood, summarise, type TestReport } from './test-summary.js';

const root = fileURLToPath(new URL('..', import.meta.url));

async function runVitest(args: readonly string[], reportPath: string): Promise<number> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

/** The report, or an empty one when vitest ended before it could write any. */
async function readReport(path: string): Promise<TestReport> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    console.error(`No test report: ${error instanceof Error ? error.message : error}`);
    return { testResults: [] };
  }
}

const directory = await mkdtemp(join(tmpdir(), 'tuneyard-tests-'));
try {
  const reportPath = join(directory, 'report.json');
  const exitCode = await runVitest(process.argv.slice(2), reportPath);
  const summary = summarise(await readReport(reportPath), exitCode);
  if (summary.passed + summary.failed === 0) console.error('No tests ran.');
  console.log(formatSummary(summary));
  process.exitCode = isGood(summary) ? 0 : 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
