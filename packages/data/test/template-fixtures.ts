/** The fixtures that LLaMA-Factory made, and the tokenizers they were made with. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Dialogue } from '../src/encode/prompt-template.js';
import type { ConversationMessage } from '../src/handlers/conversation.js';
import type { ToolFormat } from '../src/templates/index.js';
import { loadTokenizer, type Tokenizer } from '../src/tokenizer/index.js';
import { fixtureBytes } from './tokenizer-fixtures.js';

const FOLDER = new URL('./fixtures/llama-factory/', import.meta.url);

/** A message as LLaMA-Factory has it. */
export interface LfMessage {
  readonly role: 'user' | 'assistant' | 'function' | 'observation';
  readonly content: string;
}

/** A dialogue as LLaMA-Factory has it; tools are JSON text. */
export interface LfDialogue {
  readonly system?: string;
  readonly tools?: string;
  readonly messages: readonly LfMessage[];
}

/** What one case changes. */
export interface LfCase {
  readonly dialogue: string;
  readonly mask_history?: boolean;
  readonly train_on_prompt?: boolean;
  readonly cutoff_len?: number;
  readonly default_system?: string;
  readonly tool_format?: ToolFormat;
  readonly enable_thinking?: boolean | null;
}

/** Ids and labels, -n for n masked positions; or why there are none. */
export type LfResult =
  | { readonly ids: readonly number[]; readonly labels: readonly number[] }
  | { readonly refused: string };

/** Everything recorded of one template. */
export interface LfTemplate {
  readonly tokenizer: string;
  readonly cases: { readonly [name: string]: LfResult };
  readonly preferences: {
    readonly [name: string]: { readonly [part: string]: readonly number[] };
  };
  readonly prompt: readonly number[];
  readonly promptThinkingOff?: readonly number[];
  /** A raw text with its end. */
  readonly document: readonly number[];
  readonly eos: number;
  readonly stop: readonly number[];
  readonly foreign?: {
    readonly tokenizer: string;
    readonly vocabBefore: number;
    readonly vocabAfter: number;
    readonly cases: { readonly [name: string]: LfResult };
  };
}

interface TokenizerRecipe {
  readonly base: string;
  readonly added: readonly string[];
  readonly config: object | null;
}

/** The whole fixture. */
export interface LfSamples {
  readonly tokenizers: { readonly [name: string]: TokenizerRecipe };
  readonly dialogues: { readonly [name: string]: LfDialogue };
  readonly cases: { readonly [name: string]: LfCase };
  readonly preferences: {
    readonly question: readonly LfMessage[];
    readonly chosen: LfMessage;
    readonly rejected: LfMessage;
    readonly cutoffs: { readonly [name: string]: number };
  };
  readonly templates: { readonly [name: string]: LfTemplate };
}

/** Reads a fixture; gzipped ones are unpacked. */
export function llamaFactoryFixture<T>(name: string): T {
  const bytes = readFileSync(new URL(name, FOLDER));
  const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return JSON.parse(text) as T;
}

/** Labels as they were: one number per position. */
export function unpackLabels(packed: readonly number[]): number[] {
  return packed.flatMap((label) => (label < 0 ? new Array<number>(-label).fill(-100) : label));
}

/** A dialogue in the form that handlers give. */
export function toDialogue({ system, tools, messages }: LfDialogue): Dialogue {
  const first: ConversationMessage[] =
    system === undefined ? [] : [{ role: 'system', content: system }];
  return {
    messages: [...first, ...messages.map(toMessage)],
    ...(tools === undefined ? {} : { toolsText: tools }),
  };
}

/** A message in the form that handlers give; calls stay the text they are. */
export function toMessage({ role, content }: LfMessage): ConversationMessage {
  if (role === 'function') return { role: 'assistant', content: '', call_text: content };
  return { role: role === 'observation' ? 'tool' : role, content };
}

/** Tokenizers by the recipes of the fixture, written to folders as Hugging Face has them. */
export class FixtureTokenizers {
  readonly #recipes: LfSamples['tokenizers'];
  readonly #root = mkdtempSync(join(tmpdir(), 'tuneyard-templates-'));
  readonly #open = new Map<string, Promise<Tokenizer>>();

  constructor(recipes: LfSamples['tokenizers']) {
    this.#recipes = recipes;
  }

  /** Removed by the caller. */
  get root(): string {
    return this.#root;
  }

  path(name: string): string {
    return join(this.#root, name);
  }

  open(name: string): Promise<Tokenizer> {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const recipe = this.#recipes[name];
    if (recipe === undefined) throw new Error(`no tokenizer ${name}`);
    writeFolder(this.path(name), recipe);
    const opened = loadTokenizer(this.path(name));
    this.#open.set(name, opened);
    return opened;
  }
}

interface TokenizerJson {
  readonly model: { readonly vocab: { readonly [token: string]: number } };
  added_tokens: { readonly id: number; readonly content: string }[];
}

function writeFolder(folder: string, { base, added, config }: TokenizerRecipe): void {
  mkdirSync(folder);
  if (base === 'gpt2') {
    for (const name of ['vocab.json', 'merges.txt']) {
      writeFileSync(join(folder, name), fixtureBytes(`gpt2/${name}.gz`));
    }
  } else {
    const text = new TextDecoder().decode(fixtureBytes(`${base}/tokenizer.json.gz`));
    const whole = JSON.parse(text) as TokenizerJson;
    addTokens(whole, added);
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(whole));
  }
  const settings =
    config === null
      ? new TextDecoder().decode(fixtureBytes(`${base}/tokenizer_config.json`))
      : JSON.stringify(config);
  writeFileSync(join(folder, 'tokenizer_config.json'), settings);
}

function addTokens(whole: TokenizerJson, added: readonly string[]): void {
  const { vocab } = whole.model;
  const known = new Set(whole.added_tokens.map((token) => token.content));
  const taken = [...Object.values(vocab), ...whole.added_tokens.map((token) => token.id)];
  let free = taken.reduce((a, b) => Math.max(a, b)) + 1;
  for (const content of added) {
    if (known.has(content)) continue;
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    whole.added_tokens.push({ id: vocab[content] ?? free, content, ...flags, special: true } as {
      id: number;
      content: string;
    });
    if (vocab[content] === undefined) free++;
  }
}
