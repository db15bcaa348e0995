/**
 * `npm run bench:preprocess`: JSON Lines to `.bin`/`.idx`, ours against the loop that people write.
 *
 * Every turn is a new process. "cold" is a short file in it, once the tokenizer is loaded; "sustained" is the rate between
 * the short file and a long one of other text. Candidates take turns within a
 * round and the order rotates. The last line is JSON.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { buildCorpus } from '../../packages/data/test/corpus.js';
import {
  BENCH_VOCABULARIES,
  type BenchVocabulary,
} from '../../packages/data/test/tokenizer-candidates.js';
import type { PreprocessTurnOptions, PreprocessTurnReport } from './bench-preprocess-child.js';
import {
  formatPreprocessTable,
  PREPROCESS_CANDIDATES,
  type PreprocessCandidate,
  type PreprocessTurns,
  summarisePreprocess,
} from './bench-preprocess-report.js';
import { parseCount, parseNames } from './parse-options.js';

const USAGE = `Usage: npm run bench:preprocess -- [options]

  --rounds N          rounds in which every candidate has one turn on each file (5)
  --vocabulary LIST   ${BENCH_VOCABULARIES.join(', ')} (all)
  --cold-mb N         size of the short file (12)
  --long-mb N         size of the long file (36)
  --quick             one round of 1 and 2 MB: a smoke test, not a measurement
  --json              the JSON line alone
  --help              this text`;

const CHILD = fileURLToPath(new URL('./bench-preprocess-child.ts', import.meta.url));
/** Without the source condition: packages are taken as built, as users have them. */
const NODE_ARGS = ['--import', 'tsx'];
/** One thread each: these are read by the Rust library and by Node's own pool. */
const ONE_THREAD = { RAYON_NUM_THREADS: '1' };
const SEED = 20_251_125;
const run = promisify(execFile);

interface Options {
  readonly rounds: number;
  readonly vocabularies: readonly BenchVocabulary[];
  readonly coldBytes: number;
  readonly longBytes: number;
  readonly isJsonOnly: boolean;
}

function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      vocabulary: { type: 'string', default: BENCH_VOCABULARIES.join() },
      'cold-mb': { type: 'string', default: '12' },
      'long-mb': { type: 'string', default: '36' },
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
    coldBytes: 1e6 * (quick ? 1 : parseCount('--cold-mb', values['cold-mb'])),
    longBytes: 1e6 * (quick ? 2 : parseCount('--long-mb', values['long-mb'])),
    isJsonOnly: values.json,
  };
}

/** Writes documents as JSON Lines; returns the bytes of text in them. */
function writeFileOf(path: string, texts: readonly string[]): number {
  writeFileSync(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

async function takeTurn(options: PreprocessTurnOptions): Promise<PreprocessTurnReport> {
  const { stdout } = await run(process.execPath, [...NODE_ARGS, CHILD, JSON.stringify(options)], {
    env: { ...process.env, ...ONE_THREAD },
  });
  return JSON.parse(stdout) as PreprocessTurnReport;
}

interface Files {
  readonly cold: { readonly path: string; readonly bytes: number };
  readonly long: { readonly path: string; readonly bytes: number };
}

function writeFiles(dir: string, { coldBytes, longBytes }: Options): Files {
  const documents = buildCorpus({ seed: SEED, bytes: coldBytes + longBytes });
  // Lone surrogates come out differently of each binding's string conversion. An empty text is no document, as in
  // Megatron, where the loops would write a lone end-of-text token.
  const texts = documents
    .map(({ text }) => text.replace(/\p{Surrogate}/gu, '\ufffd'))
    .filter((text) => text !== '');
  let split = 0;
  for (let bytes = 0; bytes < coldBytes && split < texts.length; split++) {
    bytes += Buffer.byteLength(texts[split] ?? '');
  }
  const [cold, long] = [join(dir, 'cold.jsonl'), join(dir, 'long.jsonl')];
  return {
    cold: { path: cold, bytes: writeFileOf(cold, texts.slice(0, split)) },
    // The long file begins with the short one: what is between them is new text.
    long: { path: long, bytes: writeFileOf(long, texts) },
  };
}

async function measure(
  options: Options,
  files: Files,
  say: (text: string) => void,
): Promise<readonly PreprocessTurns[]> {
  const all = options.vocabularies.flatMap((vocabulary) =>
    (Object.keys(PREPROCESS_CANDIDATES) as PreprocessCandidate[])
      .filter((name) => !(name === 'tiktoken' && vocabulary === 'mistral'))
      .map((candidate) => ({
        candidate,
        vocabulary,
        cold: [] as PreprocessTurnReport[],
        long: [] as PreprocessTurnReport[],
      })),
  );
  for (let round = 0; round < options.rounds; round++) {
    const first = round % all.length;
    for (const entry of [...all.slice(first), ...all.slice(0, first)]) {
      const { vocabulary } = entry;
      const turn = { ...PREPROCESS_CANDIDATES[entry.candidate], vocabulary };
      entry.cold.push(await takeTurn({ ...turn, file: files.cold.path }));
      entry.long.push(await takeTurn({ ...turn, file: files.long.path }));
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
  const dir = mkdtempSync(join(tmpdir(), 'tuneyard-bench-'));
  try {
    const files = writeFiles(dir, options);
    const turns = await measure(options, files, say);
    const bytes = { cold: files.cold.bytes, long: files.long.bytes };
    const result = summarisePreprocess(turns, bytes);
    say(`\n${formatPreprocessTable(result)}\n`);
    if (loadBefore > 0.5) {
      say(`The machine was busy before the first turn (load ${loadBefore.toFixed(1)}).\n`);
    }
    console.log(JSON.stringify(result));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
