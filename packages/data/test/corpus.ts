/**
 * A large mixed corpus without network and without foreign text in the repository: prose and code from
 * the installed npm packages with permissive licences, TypeScript's messages in thirteen languages, and
 * seeded generators for Chinese, other scripts and texts that tokenizers trip over.
 *
 * The same installation and seed give the same documents.
 */

import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng, type Rng } from '@tuneyard/core';
import { CHINESE_MARKS, CHINESE_WORDS, ENGLISH_WORDS } from './corpus-words.js';
import { pick, randomText } from './tokenizer-fixtures.js';

/** One document. */
export interface CorpusDocument {
  readonly source: 'package' | 'messages' | 'chinese' | 'scripts' | 'hostile';
  readonly text: string;
}

/** Size and seed of a corpus. */
export interface CorpusOptions {
  readonly seed: number;
  /** Units: bytes of UTF-8, reached to within one document. */
  readonly bytes: number;
}

/** Shares of the sources; the packages make up the rest, and what the messages fall short of. */
const SHARES = { messages: 0.2, chinese: 0.2, scripts: 0.06, hostile: 0.02 } as const;
const MODULES = join(dirname(fileURLToPath(import.meta.url)), '../../../node_modules');
const PERMISSIVE =
  /^\(?(?:MIT|Apache-2\.0|BSD-[23]-Clause|ISC|0BSD|Unlicense|CC0-1\.0|BlueOak-1\.0\.0)\b/;
const TEXT_FILE = /(?:\.(?:md|markdown|txt|ts|mts|js|mjs|cjs|json|css|html|yml)|LICENSE|README)$/i;
const FILE_BYTES_MIN = 300;
const FILE_BYTES_MAX = 400_000;
/** Lines longer than this are minified code or data. */
const LINE_CHARS_MAX = 2000;

/** Builds the corpus, its sources mixed. */
export function buildCorpus({ seed, bytes }: CorpusOptions): readonly CorpusDocument[] {
  const rng = createRng(seed);
  const documents: CorpusDocument[] = [];
  const take = (source: CorpusDocument['source'], texts: Iterable<string>, limit: number) => {
    let taken = 0;
    for (const text of texts) {
      documents.push({ source, text });
      taken += Buffer.byteLength(text);
      if (taken >= limit) {
        break;
      }
    }
    return taken;
  };
  let total = take('messages', messageTexts(), bytes * SHARES.messages);
  for (const [source, make] of [
    ['chinese', chineseText],
    ['scripts', scriptText],
    ['hostile', hostileText],
  ] as const) {
    total += take(
      source,
      forever(() => make(rng)),
      bytes * SHARES[source],
    );
  }
  total += take('package', packageTexts(rng), bytes - total);
  if (total < bytes) {
    throw new Error(`The installed packages are ${bytes - total} bytes short of the corpus`);
  }
  rng.shuffle(documents);
  return documents;
}

function* forever(make: () => string): Generator<string> {
  for (;;) {
    yield make();
  }
}

function* packageTexts(rng: Rng): Generator<string> {
  const files = packageRoots()
    .filter(isPermissive)
    .flatMap((root) => textFiles(root));
  rng.shuffle(files);
  const seen = new Set<string>();
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    // Packages carry the same licence again and again; a little of that is like real data.
    const key = text.slice(0, 400);
    if (!seen.has(key) && text.split('\n').every((line) => line.length <= LINE_CHARS_MAX)) {
      seen.add(key);
      yield text;
    }
  }
}

function packageRoots(): string[] {
  return (
    readdirSync(MODULES)
      .sort()
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) =>
        name.startsWith('@')
          ? readdirSync(join(MODULES, name))
              .sort()
              .map((inner) => join(MODULES, name, inner))
          : [join(MODULES, name)],
      )
      // Linked ones are our own, and change from day to day.
      .filter((root) => !lstatSync(root).isSymbolicLink() && existsSync(join(root, 'package.json')))
  );
}

function isPermissive(root: string): boolean {
  const { license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    license?: unknown;
  };
  return typeof license === 'string' && PERMISSIVE.test(license);
}

function textFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        return entry.name === 'node_modules' || entry.name === '.vite' ? [] : textFiles(path);
      }
      if (!entry.isFile() || !TEXT_FILE.test(entry.name)) {
        return [];
      }
      const { size } = statSync(path);
      return size >= FILE_BYTES_MIN && size <= FILE_BYTES_MAX ? [path] : [];
    });
}

/** TypeScript's diagnostics: the same 1,900 sentences in Czech, German, Japanese, Chinese and so on. */
function* messageTexts(): Generator<string> {
  const library = join(MODULES, 'typescript/lib');
  const languages = readdirSync(library).sort();
  for (const language of languages) {
    const path = join(library, language, 'diagnosticMessages.generated.json');
    if (existsSync(path)) {
      const lines = Object.values(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>);
      for (let i = 0; i < lines.length; i += 40) {
        yield lines.slice(i, i + 40).join('\n');
      }
    }
  }
}

/** An item by Zipf's law: the first are common, the last rare. */
function pickZipf(rng: Rng, items: readonly string[]): string {
  const rank = Math.floor(items.length ** rng.next()) - 1;
  return items[Math.min(items.length - 1, rank)]!;
}

function chineseText(rng: Rng): string {
  let text = '';
  const clauses = 4 + rng.nextInt(120);
  for (let i = 0; i < clauses; i++) {
    const words = 1 + rng.nextInt(9);
    for (let j = 0; j < words; j++) {
      // A third of the words are characters side by side that no list has.
      text += rng.nextInt(3) > 0 ? pickZipf(rng, CHINESE_WORDS) : rareWord(rng);
    }
    text += rng.nextInt(12) === 0 ? ` ${pickZipf(rng, ENGLISH_WORDS)} ${rng.nextInt(3000)}年` : '';
    text += pick(rng, CHINESE_MARKS);
  }
  return text;
}

function rareWord(rng: Rng): string {
  let word = '';
  for (let i = 1 + rng.nextInt(3); i > 0; i--) {
    word += String.fromCodePoint(0x4e00 + Math.floor(20_000 * rng.next() ** 3));
  }
  return word;
}

const SCRIPTS: readonly (readonly [number, number])[] = [
  [0x400, 0x44f],
  [0x391, 0x3c9],
  [0x5d0, 0x5ea],
  [0x620, 0x652],
  [0x900, 0x94d],
  [0x980, 0x9cd],
  [0xe01, 0xe4e],
  [0x1780, 0x17d3],
  [0x3041, 0x3096],
  [0x30a1, 0x30fa],
  [0xac00, 0xb000],
  [0x1100, 0x11f9],
  [0x1200, 0x1250],
  [0xc0, 0x24f],
  [0x300, 0x36f],
];

/** Words of one script after another; every fourth text is decomposed. */
function scriptText(rng: Rng): string {
  let text = '';
  for (let lines = 1 + rng.nextInt(30); lines > 0; lines--) {
    const [low, high] = pick(rng, SCRIPTS);
    for (let words = 1 + rng.nextInt(12); words > 0; words--) {
      for (let i = 1 + rng.nextInt(9); i > 0; i--) {
        text += String.fromCodePoint(low + rng.nextInt(high - low + 1));
      }
      text += rng.nextInt(8) > 0 ? ' ' : pick(rng, ['، ', '। ', '. ', '·', ' - ', '\u00a0']);
    }
    text += '\n';
  }
  return rng.nextInt(4) === 0 ? text.normalize('NFD') : text;
}

/** What tokenizers trip over: long runs, tokens in the text, lone surrogates, odd white space. */
function hostileText(rng: Rng): string {
  const runs = [
    ' ',
    '\n',
    '\r\n',
    '\t',
    '0',
    '9',
    '1 ',
    'a',
    'ab',
    '.',
    '=',
    '-',
    '中',
    '👨‍👩‍👧‍👦',
    '▁',
    ' ▁',
  ];
  const marks = [
    '\ufeff',
    '\u0085',
    "'\u017f",
    "x'\u017f",
    '\u2028',
    '\u00a0',
    '\u3000',
    '\ud83d',
    '\udc68',
  ];
  let text = '';
  for (let parts = 1 + rng.nextInt(20); parts > 0; parts--) {
    const kind = rng.nextInt(4);
    if (kind === 0) {
      text += pick(rng, runs).repeat(1 + rng.nextInt(rng.nextInt(5) === 0 ? 600 : 40));
    } else if (kind === 1) {
      text += pick(rng, marks) + pickZipf(rng, ENGLISH_WORDS);
    } else {
      text += randomText(rng);
    }
  }
  return text;
}
