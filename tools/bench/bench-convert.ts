/**
 * `npm run bench:convert`: a synthetic Llama checkpoint to Megatron ranks of TP 4 × PP 2 and back, and with a cast,
 * ours against a straightforward PyTorch converter and against plain copies of as many bytes: one loop of read and
 * write, and as many at once as the conversion has threads.
 *
 * Every turn is a new process. Candidates take turns within a round and the order rotates; before each, what the last
 * one wrote is removed, the disk has settled, and the source has been read once, so that it is cached for all alike. By default nobody waits for the disk, as torch.save does not;
 * `--sync` makes all of them wait. The last line is JSON.
 */
import { execFile } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { ConvertTurnOptions, ConvertTurnReport } from './bench-convert-child.js';
import { writeSyntheticModel } from './bench-convert-model.js';
import {
  CONVERT_CASES,
  type ConvertCandidate,
  type ConvertCase,
  type ConvertTurns,
  formatConvertTable,
  summariseConvert,
} from './bench-convert-report.js';

const USAGE = `Usage: npm run bench:convert -- [options]

  --gb N          size of the source checkpoint (4); needs about four times that on the disk
  --rounds N      rounds in which every candidate has one turn (5)
  --cases LIST    ${Object.keys(CONVERT_CASES).join(', ')} (all)
  --dir PATH      where to work; a directory is made in it and removed (the system's temporary one)
  --sync          every candidate waits until its output is on the disk
  --quick         one round of 0.2 GB: a smoke test, not a measurement
  --json          the JSON line alone
  --help          this text

PyTorch is found through TUNEYARD_ORACLE_PYTHON, else as python3.`;

const CHILD = fileURLToPath(new URL('./bench-convert-child.ts', import.meta.url));
const BASELINE = fileURLToPath(new URL('../../test/oracles/convert_bench.py', import.meta.url));
/** Without the source condition: packages are taken as built, as users have them. */
const NODE_ARGS = ['--import', 'tsx'];
const PYTHON = process.env['TUNEYARD_ORACLE_PYTHON'] ?? 'python3';
const run = promisify(execFile);

interface Options {
  readonly bytes: number;
  readonly rounds: number;
  readonly cases: readonly ConvertCase[];
  readonly dir: string;
  readonly isDurable: boolean;
  readonly isJsonOnly: boolean;
}

function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      gb: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '5' },
      cases: { type: 'string', default: Object.keys(CONVERT_CASES).join() },
      dir: { type: 'string', default: tmpdir() },
      sync: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const count = (option: string, text: string): number => {
    if (Number(text) > 0 && Number(text) <= 1000) return Number(text);
    throw new Error(`${option} ${text}: allowed are numbers above 0, up to 1000`);
  };
  return {
    bytes: 1e9 * (values.quick ? 0.2 : count('--gb', values.gb)),
    rounds: values.quick ? 1 : Math.ceil(count('--rounds', values.rounds)),
    cases: values.cases.split(',').map((item) => {
      const name = item.trim();
      if (name in CONVERT_CASES) return name as ConvertCase;
      throw new Error(`--cases ${item}: allowed are ${Object.keys(CONVERT_CASES).join(', ')}`);
    }),
    dir: values.dir,
    isDurable: values.sync,
    isJsonOnly: values.json,
  };
}

/** Directories of one bench. */
class Workplace {
  readonly root: string;

  constructor(dir: string) {
    this.root = mkdtempSync(join(dir, 'tuneyard-bench-'));
  }

  at(name: string): string {
    return join(this.root, name);
  }

  /** Removes an output and lets the disk settle. */
  async clear(name: string): Promise<void> {
    rmSync(this.at(name), { recursive: true, force: true });
    await run('sync');
  }
}

async function hasTorch(): Promise<boolean> {
  return await run(PYTHON, ['-c', 'import torch, safetensors.torch']).then(
    () => true,
    () => false,
  );
}

async function runOurs(options: ConvertTurnOptions): Promise<ConvertTurnReport> {
  const { stdout } = await run(process.execPath, [...NODE_ARGS, CHILD, JSON.stringify(options)]);
  return JSON.parse(stdout) as ConvertTurnReport;
}

async function runTorch(options: ConvertTurnOptions): Promise<ConvertTurnReport> {
  const { what, source, target, config, dtype, isDurable } = options;
  const args = [BASELINE, what, source, target];
  if (what === 'to-hf') args.push('--config', join(config, 'config.json'));
  if (dtype !== null) args.push('--dtype', dtype.toLowerCase());
  if (isDurable) args.push('--sync');
  const { stdout } = await run(PYTHON, args);
  return JSON.parse(stdout) as ConvertTurnReport;
}

function takeTurn(
  candidate: ConvertCandidate,
  options: ConvertTurnOptions,
): Promise<ConvertTurnReport> {
  if (candidate === 'torch') return runTorch(options);
  return runOurs(candidate === 'tuneyard' ? options : { ...options, what: candidate });
}

function bytesUnder(dir: string): number {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(dir, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

/** A case with its source on the disk and the size of its output known. */
interface PreparedCase {
  readonly options: ConvertTurnOptions;
  readonly readBytes: number;
  readonly isSame: boolean | null;
}

/** Writes the source, and converts once, untimed, to know the output and compare it with torch's. */
async function prepare(
  name: ConvertCase,
  place: Workplace,
  { bytes, isDurable, isTorchThere }: Options & { readonly isTorchThere: boolean },
): Promise<PreparedCase> {
  const { what, from, dtype } = CONVERT_CASES[name];
  const hf = place.at('hf');
  await writeSyntheticModel({ directory: hf, dtype: from, bytes });
  const shared = { config: hf, isDurable, writeBytes: 0 };
  const megatron = place.at('megatron');
  if (what === 'to-hf') {
    await runOurs({ ...shared, what: 'to-megatron', source: hf, target: megatron, dtype: null });
  }
  const source = what === 'to-hf' ? megatron : hf;
  const options: ConvertTurnOptions = { ...shared, what, source, target: place.at('out'), dtype };
  await runOurs(options);
  const writeBytes = bytesUnder(options.target);
  let isSame: boolean | null = null;
  if (isTorchThere) {
    const other = place.at('other');
    await runTorch({ ...options, target: other });
    const { stdout } = await run(PYTHON, [BASELINE, 'same', options.target, other]);
    isSame = (JSON.parse(stdout) as { same: boolean }).same;
    await place.clear('other');
  }
  await place.clear('out');
  return { options: { ...options, writeBytes }, readBytes: bytesUnder(source), isSame };
}

/** Reads all files of a directory, so that they are in the system's cache. */
function warm(dir: string): void {
  const block = new Uint8Array(4 * 1024 * 1024);
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const path = join(dir, name);
    if (!statSync(path).isFile()) continue;
    const handle = openSync(path, 'r');
    while (readSync(handle, block) > 0);
    closeSync(handle);
  }
}

async function runCase(
  name: ConvertCase,
  place: Workplace,
  options: Options & { readonly isTorchThere: boolean; readonly say: (text: string) => void },
): Promise<ConvertTurns> {
  const { options: turn, readBytes, isSame } = await prepare(name, place, options);
  const candidates: ConvertCandidate[] = ['tuneyard', 'copy', 'copies'];
  if (options.isTorchThere) candidates.push('torch');
  const turns: Partial<Record<ConvertCandidate, ConvertTurnReport[]>> = {};
  for (let round = 0; round < options.rounds; round++) {
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[(i + round) % candidates.length] ?? 'tuneyard';
      warm(turn.source);
      const report = await takeTurn(candidate, turn);
      await place.clear('out');
      const seconds = (report.wallMs / 1000).toFixed(2);
      options.say(`${name} round ${round + 1} ${candidate}: ${seconds} s`);
      turns[candidate] = [...(turns[candidate] ?? []), report];
    }
  }
  await place.clear('hf');
  await place.clear('megatron');
  return { name, readBytes, writeBytes: turn.writeBytes, turns, isSame };
}

async function main(options: Options): Promise<void> {
  const say = options.isJsonOnly ? () => undefined : (text: string) => console.log(text);
  const isTorchThere = await hasTorch();
  if (!isTorchThere) say(`${PYTHON} has no torch with safetensors: no baseline`);
  const loadBefore = loadavg()[0] ?? 0;
  const place = new Workplace(options.dir);
  try {
    const all: ConvertTurns[] = [];
    for (const name of options.cases) {
      all.push(await runCase(name, place, { ...options, isTorchThere, say }));
    }
    const result = summariseConvert(all, options);
    say(`\n${formatConvertTable(result)}\n`);
    if (loadBefore > 0.5) {
      say(`The machine was busy before the first turn (load ${loadBefore.toFixed(1)}).\n`);
    }
    console.log(JSON.stringify(result));
  } finally {
    rmSync(place.root, { recursive: true, force: true });
  }
}

let options: Options | null = null;
try {
  options = parseOptions(process.argv.slice(2));
  if (options === null) console.log(USAGE);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
if (options !== null) await main(options);
