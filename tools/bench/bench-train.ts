/**
 * `npm run bench:train`: speed and memory of a LoRA training step, ours and plain PyTorch's side by side.
 *
 * Each candidate lives in its own process. In every round each has one turn while the others wait, and the
 * order rotates, so that whatever else the machine does hits all of them alike. The last line is JSON.
 */
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { BENCH_USAGE, type BenchOptions, parseBenchOptions } from './bench-options.js';
import { type CandidateTurns, formatTable, formatVerdict, summarise } from './bench-report.js';
import { findOraclePython, type OraclePython, planCandidates } from './candidates.js';
import { BENCH_SHAPES, denseFlopsPerToken } from './random-model.js';
import { TurnProcess } from './turn-process.js';
import type { TurnReport } from './turn-protocol.js';

/** Waiting threads of a linear algebra library spin for a while after their last product. */
const SETTLE_MS = 300;

type Say = (text: string) => void;

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions | null;
  try {
    options = parseBenchOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${BENCH_USAGE}`);
    return 2;
  }
  if (options === null) {
    console.log(BENCH_USAGE);
    return 0;
  }
  const say: Say = options.isJsonOnly ? () => undefined : (text) => console.log(text);
  try {
    await run(options, say);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function run(options: BenchOptions, say: Say): Promise<void> {
  const shape = BENCH_SHAPES[options.shape];
  const python = options.shape === 'tiny' ? null : await findOraclePython(process.env);
  describe(options, { python, say });
  const loadBefore = loadavg()[0] ?? 0;
  const measured: CandidateTurns[] = [];
  for (const threads of options.threads) {
    measured.push(...(await measure(options, { threads, python, say })));
  }
  const result = summarise(measured, {
    tokensPerStep: shape.seqLength,
    denseFlopsPerToken: denseFlopsPerToken(shape),
  });
  say(`\n${formatTable(result)}\n\n${formatVerdict(result)}\n`);
  console.log(
    JSON.stringify({
      ...result,
      run: {
        shape: options.shape,
        rounds: options.rounds,
        steps_per_turn: options.stepsPerTurn,
        quick: options.isQuick,
        cpu: cpus()[0]?.model ?? 'unknown',
        cpus: cpus().length,
        load_before: loadBefore,
        node: process.versions.node,
        torch: python?.torchVersion ?? null,
      },
    }),
  );
}

function describe(
  options: BenchOptions,
  { python, say }: { python: OraclePython | null; say: Say },
): void {
  const { hiddenSize, numHiddenLayers, vocabSize, seqLength } = BENCH_SHAPES[options.shape];
  say(
    `LoRA r=8 on all linear layers; hidden ${hiddenSize}, ${numHiddenLayers} layers, ` +
      `vocabulary ${vocabSize}; one sequence of ${seqLength} tokens per step.`,
  );
  say(`${options.rounds} rounds, ${options.stepsPerTurn} steps in a turn.`);
  if (python !== null) say(`Baseline: PyTorch ${python.torchVersion}.`);
  else if (options.shape === 'tiny') say('Without PyTorch: the tiny shape has no baseline.');
  else {
    say(
      'Without PyTorch: no python3 here can import torch. Speeds are compared with the rate of a ' +
        'single product only. Set TUNEYARD_ORACLE_PYTHON to an interpreter that has torch.',
    );
  }
}

/** Starts all candidates at one thread count, lets them take turns, and ends them. */
async function measure(
  options: BenchOptions,
  { threads, python, say }: { threads: number; python: OraclePython | null; say: Say },
): Promise<CandidateTurns[]> {
  const commands = planCandidates(options, threads, { env: process.env, python });
  const started: TurnProcess[] = [];
  try {
    for (const command of commands) {
      started.push(await TurnProcess.start(command));
      say(`  ${threads} × ${command.name}: ready`);
    }
    const turns = await takeTurns(started, options, (round) => {
      say(`  ${threads} × round ${round} of ${options.rounds}`);
    });
    return started.map(({ name }) => ({ name, threads, turns: turns.get(name) ?? [] }));
  } finally {
    await Promise.all(started.map((child) => child.stop()));
  }
}

async function takeTurns(
  candidates: readonly TurnProcess[],
  { rounds, stepsPerTurn }: BenchOptions,
  onRound: (round: number) => void,
): Promise<Map<string, TurnReport[]>> {
  const turns = new Map<string, TurnReport[]>(candidates.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % candidates.length;
    for (const candidate of [...candidates.slice(first), ...candidates.slice(0, first)]) {
      await pause(SETTLE_MS);
      turns.get(candidate.name)?.push(await candidate.takeTurn(stepsPerTurn));
    }
    onRound(round + 1);
  }
  return turns;
}

process.exitCode = await main(process.argv.slice(2));
