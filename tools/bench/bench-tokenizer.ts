/**
 * `npm run bench:tokenizer`: speed of encoding on one core, ours and others' side by side.
 *
 * Every turn is a new process: it loads a vocabulary, encodes the first documents ("cold") and then more
 * that it has not met before ("sustained"). The candidates take turns within a round and the order
 * rotates, so that whatever else the machine does hits all of them alike. The last line is JSON.
 */
import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import {
  BENCH_CANDIDATES,
  BENCH_VOCABULARIES,
  type BenchCandidate,
  type BenchVocabulary,
  canRun,
} from '../../packages/data/test/tokenizer-candidates.js';
import type { TokenizerTurnOptions, TokenizerTurnReport } from './bench-tokenizer-child.js';
import {
  formatTokenizerTable,
  summariseTokenizers,
  type TokenizerTurns,
} from './bench-tokenizer-report.js';
import { parseCount, parseNames } from './parse-options.js';

const USAGE = `Usage: npm run bench:tokenizer -- [options]

  --rounds N          rounds in which every candidate has one turn (5)
  --vocabulary LIST   ${BENCH_VOCABULARIES.join(', ')} (all)
  --candidate LIST    ${BENCH_CANDIDATES.join(', ')} (all)
  --cold-mb N         size of the first documents (12)
  --sustained-mb N    size of those after them (24)
  --quick             one round of 1 + 1 MB: a smoke test, not a measurement
  --json              the JSON line alone
  --help              this text`;

const CHILD = fileURLToPath(new URL('./bench-tokenizer-child.ts', import.meta.url));
const NODE_ARGS = ['--conditions=@tuneyard/source', '--import', 'tsx'];
/** One thread each: these are read by the Rust library and by Node's own pool. */
const ONE_THREAD = { RAYON_NUM_THREADS: '1', UV_THREADPOOL_SIZE: '1' };
const run = promisify(execFile);

interface Options {
  readonly rounds: number;
  readonly vocabularies: readonly BenchVocabulary[];
  readonly candidates: readonly BenchCandidate[];
  readonly coldBytes: number;
  readonly sustainedBytes: number;
  readonly isJsonOnly: boolean;
}

function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      vocabulary: { type: 'string', default: BENCH_VOCABULARIES.join() },
      candidate: { type: 'string', default: BENCH_CANDIDATES.join() },
      'cold-mb': { type: 'string', default: '12' },
      'sustained-mb': { type: 'string', default: '24' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  return {
    rounds: quick ? 1 : parseCount('--rounds', values.rounds),
    vocabularies: parseNames('--vocabulary', values.vocabulary, BENCH_VOCABULARIES),
    candidates: parseNames('--candidate', values.candidate, BENCH_CANDIDATES),
    coldBytes: 1e6 * (quick ? 1 : parseCount('--cold-mb', values['cold-mb'])),
    sustainedBytes: 1e6 * (quick ? 1 : parseCount('--sustained-mb', values['sustained-mb'])),
    isJsonOnly: values.json,
  };
}

async function takeTurn(options: TokenizerTurnOptions): Promise<TokenizerTurnReport> {
  const { stdout } = await run(process.execPath, [...NODE_ARGS, CHILD, JSON.stringify(options)], {
    env: { ...process.env, ...ONE_THREAD },
  });
  return JSON.parse(stdout) as TokenizerTurnReport;
}

async function measure(
  options: Options,
  say: (text: string) => void,
): Promise<readonly TokenizerTurns[]> {
  const { coldBytes, sustainedBytes } = options;
  const all = options.vocabularies.flatMap((vocabulary) =>
    options.candidates
      .filter((candidate) => canRun(candidate, vocabulary))
      .map((candidate) => ({ candidate, vocabulary, turns: [] as TokenizerTurnReport[] })),
  );
  for (let round = 0; round < options.rounds; round++) {
    const first = round % all.length;
    for (const entry of [...all.slice(first), ...all.slice(0, first)]) {
      const { candidate, vocabulary } = entry;
      entry.turns.push(await takeTurn({ candidate, vocabulary, coldBytes, sustainedBytes }));
    }
    say(`round ${round + 1} of ${options.rounds} done`);
  }
  return all;
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options | null;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const say = options.isJsonOnly ? () => undefined : (text: string) => console.log(text);
  const loadBefore = loadavg()[0] ?? 0;
  const result = summariseTokenizers(await measure(options, say));
  say(`\n${formatTokenizerTable(result)}\n`);
  if (loadBefore > 0.5) {
    say(`The machine was busy before the first turn (load ${loadBefore.toFixed(1)}).\n`);
  }
  console.log(JSON.stringify(result));
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
