/** Reads the handler fixtures and opens the tokenizers that they were made with. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  loadTokenizer,
  type MapKeys,
  openPromptTemplate,
  type PromptTemplate,
  type Tokenizer,
} from '@tuneyard/data';
import { fixtureText } from './tokenizer-fixtures.js';

const FIXTURES = new URL('./fixtures/handlers/', import.meta.url);

/** Records with a handler and how it is set. */
export interface HandlerCase {
  readonly name: string;
  readonly handler: string;
  readonly tokenizers: readonly string[];
  readonly settings: {
    readonly jsonKeys?: readonly string[];
    readonly mapKeys?: MapKeys;
    readonly appendEod?: boolean;
    readonly additionalKeys?: readonly string[];
  };
  /** The original's name of a template. */
  readonly prompt_type?: string;
  /** Our name of it. */
  readonly template?: string;
  readonly enable_thinking?: boolean | null;
  /** The original drops rows from this length on. */
  readonly seq_length?: number;
  readonly records: readonly { readonly [key: string]: unknown }[];
}

/** What the original made of one record: sequences by field; null = dropped. */
export type ExpectedRow = { readonly [field: string]: readonly (readonly number[])[] } | null;

/** The results of one case with one tokenizer. */
export interface ExpectedCase {
  readonly case: string;
  readonly tokenizer: string;
  readonly rows: readonly ExpectedRow[];
}

interface TokenizerSetup {
  readonly file: string;
  readonly tokens: { readonly [name: string]: string };
  readonly added?: readonly string[];
  readonly chat_template?: string;
}

const { tokenizers, cases } = JSON.parse(readFileSync(new URL('cases.json', FIXTURES), 'utf8')) as {
  tokenizers: { readonly [name: string]: TokenizerSetup };
  cases: readonly HandlerCase[];
};

/** Every case with its results. */
export const handlerCases: readonly {
  readonly given: HandlerCase;
  readonly expected: ExpectedCase;
}[] = readFileSync(new URL('expected.jsonl', FIXTURES), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as ExpectedCase)
  .map((expected) => {
    const given = cases.find(({ name }) => name === expected.case);
    if (given === undefined) throw new Error(`cases.json has no case '${expected.case}'`);
    return { given, expected };
  });

const directories = new Map<string, string>();
const loaded = new Map<string, Promise<Tokenizer>>();

/** One of the tokenizers; each is loaded once. */
export function openTokenizer(name: string): Promise<Tokenizer> {
  const tokenizer = loaded.get(name) ?? loadTokenizer(tokenizerDirectory(name));
  loaded.set(name, tokenizer);
  return tokenizer;
}

/** A model directory with one of the tokenizers. */
function tokenizerDirectory(name: string): string {
  const there = directories.get(name);
  if (there !== undefined) return there;
  const setup = tokenizers[name];
  if (setup === undefined) throw new Error(`cases.json has no tokenizer '${name}'`);
  const dir = mkdtempSync(join(tmpdir(), 'tuneyard-handlers-'));
  const { chat_template, tokens } = setup;
  writeFileSync(join(dir, 'tokenizer.json'), withAdded(fixtureText(setup.file), setup.added ?? []));
  const config = { ...tokens, ...(chat_template === undefined ? {} : { chat_template }) };
  writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
  directories.set(name, dir);
  return dir;
}

/** Gives added tokens the next ids, as `add_tokens` does. */
function withAdded(json: string, added: readonly string[]): string {
  if (added.length === 0) return json;
  const parsed = JSON.parse(json) as {
    added_tokens: { id: number; content: string }[];
    model: { vocab: { [token: string]: number } };
  };
  const ids = [...Object.values(parsed.model.vocab), ...parsed.added_tokens.map(({ id }) => id)];
  const first = ids.reduce((max, id) => Math.max(max, id), -1) + 1;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const fresh = added.map((content, i) => ({ id: first + i, content, ...flags, special: true }));
  return JSON.stringify({ ...parsed, added_tokens: [...parsed.added_tokens, ...fresh] });
}

/** What a case is run with. */
export async function openCase(
  { template, enable_thinking }: HandlerCase,
  tokenizerName: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly template: PromptTemplate | null }> {
  const modelPath = tokenizerDirectory(tokenizerName);
  const tokenizer = await openTokenizer(tokenizerName);
  if (template === undefined) return { tokenizer, template: null };
  const opened = await openPromptTemplate({
    name: template,
    modelPath,
    tokenizer,
    generationConfig: null,
    resizeVocab: true,
    ...(enable_thinking === undefined ? {} : { enableThinking: enable_thinking }),
  });
  return { tokenizer, template: opened };
}
