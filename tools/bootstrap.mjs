/**
 * Makes a fresh clone ready, then runs a task: `node tools/bootstrap.mjs test|demo [arguments]`.
 *
 * Plain JavaScript with Node built-ins alone, because it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const TASKS = {
  test: ['--import', 'tsx', 'tools/run-tests.ts'],
  demo: ['apps/cli/dist/main.js', 'run', 'examples/quickstart.yaml'],
};

/** Runs a command with our terminal and returns its exit code. */
function run(command, args) {
  const isWindows = process.platform === 'win32';
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: isWindows && command === 'npm',
  });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

function readLock(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : null;
}

/** True when every package of the lock is installed in its version; optional ones may be absent. */
function isInstalled() {
  const wanted = readLock(`${root}package-lock.json`);
  const found = readLock(`${root}node_modules/.package-lock.json`);
  if (wanted === null || found === null) return false;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (!path.includes('node_modules/')) return true;
    const present = found[path];
    return present ? link === true || present.version === version : optional === true;
  });
}

function install() {
  if (isInstalled()) return 0;
  // With a node_modules at hand, npm ci would delete it first; npm install brings it up to date.
  const isFresh = !existsSync(`${root}node_modules`);
  console.log(`bootstrap: npm ${isFresh ? 'ci' : 'install'}`);
  if (isFresh && run('npm', ['ci']) === 0) return 0;
  return run('npm', ['install']);
}

function build() {
  console.log('bootstrap: tsc -b');
  return run(process.execPath, ['node_modules/typescript/bin/tsc', '-b']);
}

const [task = '', ...rest] = process.argv.slice(2);
if (!Object.hasOwn(TASKS, task)) {
  console.error(`usage: node tools/bootstrap.mjs ${Object.keys(TASKS).join('|')}`);
  process.exit(2);
}
const status = install() || build();
if (status !== 0) {
  console.error('bootstrap: failed, see above');
  // The closing line of a test run is read by machines, so that it is there even now.
  if (task === 'test') console.log('0 passed, 1 failed, 0 skipped');
  process.exit(status);
}
process.exit(run(process.execPath, [...TASKS[task], ...rest]));
