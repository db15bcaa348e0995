/**
 * One candidate of `bench:tokenizer` in a new process: loads a vocabulary, encodes documents it has
 * never seen, and prints one JSON line.
 *
 * Arguments: a JSON object, see TokenizerTurnOptions. Documents are built, and files read, before a
 * clock starts.
 */
import { buildCorpus } from '../../packages/data/test/corpus.js';
import {
  type BenchCandidate,
  type BenchVocabulary,
  type EncodeCall,
  openCandidate,
  vocabularyJson,
} from '../../packages/data/test/tokenizer-candidates.js';

/** What a turn does. */
export interface TokenizerTurnOptions {
  readonly candidate: BenchCandidate;
  readonly vocabulary: BenchVocabulary;
  /** Units: bytes of UTF-8. The first documents, and those after them. */
  readonly coldBytes: number;
  readonly sustainedBytes: number;
}

/** How long a stretch of documents took. */
export interface PassReport {
  readonly bytes: number;
  readonly tokens: number;
  /** Depends on every id, so that candidates can be compared. */
  readonly checksum: number;
  readonly wallMs: number;
  /** User and system time of all threads. */
  readonly cpuMs: number;
}

/** What a turn measured. */
export interface TokenizerTurnReport {
  readonly loadMs: number;
  readonly cold: PassReport;
  readonly sustained: PassReport;
  readonly peakRssMb: number;
}

const SEED = 20_240_901;

async function encodeAll(encode: EncodeCall, texts: readonly string[]): Promise<PassReport> {
  const results: ArrayLike<number>[] = [];
  const cpu = process.cpuUsage();
  const begin = performance.now();
  for (const text of texts) {
    const ids = encode(text);
    results.push(ids instanceof Promise ? await ids : ids);
  }
  const wallMs = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  let tokens = 0;
  let checksum = 0;
  for (const ids of results) {
    tokens += ids.length;
    for (let i = 0; i < ids.length; i++) {
      checksum = (Math.imul(checksum, 31) + (ids[i] ?? 0)) | 0;
    }
  }
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return { bytes, tokens, checksum, wallMs, cpuMs: (user + system) / 1000 };
}

async function main(options: TokenizerTurnOptions): Promise<void> {
  const { candidate, vocabulary, coldBytes, sustainedBytes } = options;
  const documents = buildCorpus({ seed: SEED, bytes: coldBytes + sustainedBytes });
  // Lone surrogates come out differently of each binding's string conversion.
  const texts = documents.map(({ text }) => text.replace(/\p{Surrogate}/gu, '\ufffd'));
  let split = 0;
  for (let bytes = 0; bytes < coldBytes && split < texts.length; split++) {
    bytes += Buffer.byteLength(texts[split] ?? '');
  }
  const json = vocabularyJson(vocabulary);
  const begin = performance.now();
  const encode = openCandidate(candidate, json);
  const loadMs = performance.now() - begin;
  const cold = await encodeAll(encode, texts.slice(0, split));
  const sustained = await encodeAll(encode, texts.slice(split));
  const peakRssMb = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ loadMs, cold, sustained, peakRssMb } satisfies TokenizerTurnReport));
}

await main(JSON.parse(process.argv[2] ?? '{}') as TokenizerTurnOptions);
