/**
 * One candidate of `bench:preprocess` in a new process: a JSON Lines file to `.bin`/`.idx`. Prints one JSON line.
 *
 * Ours runs the built package, as users do. The others are the loop that people write: parse a line, encode the
 * text, append the ids and an end-of-text token to the same writer.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeDataFile, preprocess } from '@tuneyard/data';
import { IndexedDatasetWriter } from '@tuneyard/formats';
import {
  type BenchCandidate,
  type BenchVocabulary,
  openCandidate,
  vocabularyJson,
} from '../../packages/data/test/tokenizer-candidates.js';

/** What a turn does. */
export interface PreprocessTurnOptions {
  readonly candidate: BenchCandidate;
  readonly vocabulary: BenchVocabulary;
  /** Threads; the others have one. */
  readonly workers: number;
  readonly file: string;
}

/** What a turn measured. */
export interface PreprocessTurnReport {
  /** Reading and building the tokenizer. */
  readonly loadMs: number;
  /** From then to the last byte on disk. */
  readonly wallMs: number;
  /** User and system time of all threads. */
  readonly cpuMs: number;
  readonly tokens: number;
  readonly peakRssMb: number;
  /** Of the .bin file. */
  readonly digest: string;
}

const EOD = 1;

/** What a job did. */
interface Outcome {
  readonly tokens: number;
  readonly loadMs: number;
}

async function runOurs(options: PreprocessTurnOptions, dir: string): Promise<Outcome> {
  const { vocabulary, workers, file } = options;
  const result = await preprocess({
    tokenizer: join(dir, 'tokenizer.json'),
    template: null,
    datasets: [
      {
        spec: describeDataFile(file),
        handler: {
          handler: 'GeneralPretrainHandler',
          cutoffLength: 4096,
          overlength: 'truncate',
          appendEod: true,
          stopTokenId: EOD,
        },
      },
    ],
    documentLength: null,
    cutoffLength: 4096,
    dropDuplicates: false,
    mix: null,
    valSize: 0,
    seed: 0,
    packing: null,
    train: { prefix: join(dir, vocabulary) },
    validation: null,
    dtype: 'int32',
    workDir: join(dir, 'parts'),
    workers,
  });
  return { tokens: result.train?.tokens ?? 0, loadMs: result.openMs };
}

async function runLoop(options: PreprocessTurnOptions, dir: string): Promise<Outcome> {
  const { candidate, vocabulary, file } = options;
  const begin = performance.now();
  const encode = openCandidate(candidate, readFileSync(join(dir, 'tokenizer.json'), 'utf8'));
  const loadMs = performance.now() - begin;
  const prefix = join(dir, `${vocabulary}_text_document`);
  const writer = await IndexedDatasetWriter.create(prefix, { dtype: 'int32' });
  // Not readline: it also ends lines at U+2028, which JSON allows in a string.
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    const { text } = JSON.parse(line) as { text: string };
    const ids = await encode(text);
    const sequence = new Int32Array(ids.length + 1);
    sequence.set(ids as ArrayLike<number>);
    sequence[ids.length] = EOD;
    await writer.append(sequence);
    writer.endDocument();
  }
  return { tokens: (await writer.commit()).tokens, loadMs };
}

async function main(options: PreprocessTurnOptions): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tuneyard-bench-'));
  try {
    const { candidate, vocabulary } = options;
    const json = vocabularyJson(vocabulary);
    // The loops encode without BOS; so does a tokenizer without a post-processor.
    const plain = { ...(JSON.parse(json) as object), post_processor: null };
    writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(plain));
    const cpu = process.cpuUsage();
    const begin = performance.now();
    const { tokens, loadMs } =
      candidate === 'tuneyard' ? await runOurs(options, dir) : await runLoop(options, dir);
    const wallMs = performance.now() - begin - loadMs;
    const { user, system } = process.cpuUsage(cpu);
    const bin = readFileSync(join(dir, `${vocabulary}_text_document.bin`));
    const report: PreprocessTurnReport = {
      loadMs,
      wallMs,
      cpuMs: (user + system) / 1000,
      tokens,
      peakRssMb: process.resourceUsage().maxRSS / 1024,
      digest: createHash('sha256').update(bin).digest('hex'),
    };
    console.log(JSON.stringify(report));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

await main(JSON.parse(process.argv[2] ?? '{}') as PreprocessTurnOptions);
