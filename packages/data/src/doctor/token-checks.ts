/**
 * What can be seen on tokens and labels alone: whether a sample begins and ends as it should, teaches anything, and
 * fits the model's vocabulary.
 */
import type { PromptTemplate } from '../encode/prompt-template.js';
import { countLearned, IGNORE_LABEL, type TokenizedSample } from '../encode/samples.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { type Finding, FindingLog, percent } from './finding.js';

/** What samples are held against. */
export interface TokenFacts {
  readonly tokenizer: Tokenizer;
  /** Null for raw text. */
  readonly template: Pick<PromptTemplate, 'stopTokenIds' | 'form'> | null;
  /** Rows of the model's embedding. */
  readonly modelVocabSize: number;
  /** Padding as the model's config names it, where the tokenizer names none. */
  readonly padTokenId?: number | null;
}

/** Learned tokens at the end of an answer among which its stop token stands; templates add a line break. */
const TAIL_TOKENS = 4;
/** Share of learned tokens under which most of the work is reading. */
const LEARNED_SHARE_LOW = 0.01;
/** Share of byte tokens above which a tokenizer does not know the script. */
const BYTE_SHARE_HIGH = 0.1;
/** Tokens before shares mean anything. */
const TOKENS_FOR_SHARES = 200;

/** Checks samples one by one. */
export class TokenChecks {
  readonly #facts: TokenFacts;
  readonly #log = new FindingLog();
  readonly #stops: ReadonlySet<number>;
  readonly #pad: number | null;
  readonly #isByte: ByteTokens;
  #tokens = 0;
  #learned = 0;
  #byteTokens = 0;

  constructor(facts: TokenFacts) {
    this.#facts = facts;
    this.#stops = new Set(facts.template?.stopTokenIds ?? []);
    this.#pad = facts.tokenizer.padTokenId ?? facts.padTokenId ?? null;
    this.#isByte = new ByteTokens(facts.tokenizer);
  }

  /** Checks a sample; `isCut`: it was cut to the cutoff. Returns the codes of its errors. */
  check(sample: TokenizedSample, isCut: boolean): string[] {
    const errors: string[] = [];
    const error = (code: string, detail?: string) => {
      errors.push(code);
      this.#log.add(code, sample, detail);
    };
    this.#checkIds(sample, error);
    this.#checkBegin(sample, error);
    const learned = countLearned(sample.learned);
    this.#tokens += sample.ids.length;
    this.#learned += learned;
    if (learned === 0) error('all_masked');
    else this.#checkEnd(sample, isCut, error);
    if (learned / sample.ids.length < LEARNED_SHARE_LOW) {
      this.#log.add('learned_share_low', sample, `${learned} of ${sample.ids.length} tokens`);
    }
    return errors;
  }

  /** Everything found. */
  finish(): Finding[] {
    const log = this.#log;
    const { modelVocabSize, template, tokenizer } = this.#facts;
    const names = [...this.#stops].map((id) => tokenizer.idToToken(id) ?? String(id)).join(', ');
    const expected = names === '' ? 'the template names none' : `expected ${names}`;
    const end = 'the answer ends without a learned stop token';
    return [
      ...log.take('id_outside_vocab', { what: `an id is not below the model's ${modelVocabSize}` }),
      ...log.take('double_bos'),
      // Named templates decide themselves; LLaMA-Factory trains many of them without a BOS.
      ...log.take('missing_bos', template?.form === 'slots' ? { severity: 'warning' } : {}),
      ...log.take('all_masked'),
      ...log.take('stop_not_learned', { what: `${end} (${expected}); the model would not stop` }),
      ...log.take('padding_learned'),
      ...log.take('answer_cut'),
      ...log.take('unknown_token'),
      ...this.#shareFindings(),
    ];
  }

  #shareFindings(): Finding[] {
    if (this.#tokens < TOKENS_FOR_SHARES) return [];
    const learned = this.#learned / this.#tokens;
    const bytes = this.#byteTokens / this.#tokens;
    return [
      ...(learned < LEARNED_SHARE_LOW
        ? this.#log.take('learned_share_low', {
            what: `of all tokens only ${percent(learned)} are learned; in these rows least`,
          })
        : []),
      ...(bytes > BYTE_SHARE_HIGH
        ? this.#log.take('byte_tokens', {
            what: `characters are spelled out byte by byte; ${percent(bytes)} of all tokens are such bytes`,
          })
        : []),
    ];
  }

  #checkIds(sample: TokenizedSample, error: (code: string, detail?: string) => void): void {
    const { tokenizer, modelVocabSize } = this.#facts;
    const unknown = tokenizer.unkTokenId;
    let outside: number | undefined;
    let unknowns = 0;
    let bytes = 0;
    for (const id of sample.ids) {
      if (id < 0 || id >= modelVocabSize) outside ??= id;
      else if (id === unknown) unknowns++;
      else if (this.#isByte.has(id)) bytes++;
    }
    if (outside !== undefined) error('id_outside_vocab', `id ${outside}`);
    if (unknown === this.#pad) unknowns -= trailing(sample.ids, unknown);
    if (unknowns > 0) {
      this.#log.add('unknown_token', sample, `${unknowns} of ${sample.ids.length} tokens`);
    }
    this.#byteTokens += bytes;
    if (bytes / sample.ids.length > BYTE_SHARE_HIGH) {
      this.#log.add('byte_tokens', sample, `${bytes} of ${sample.ids.length} tokens`);
    }
  }

  #checkBegin(sample: TokenizedSample, error: (code: string) => void): void {
    const { bosTokenId: bos, addBos } = this.#facts.tokenizer;
    if (bos === null) return;
    if (sample.ids[0] === bos && sample.ids[1] === bos) error('double_bos');
    // Raw text is cut into pieces, of which only the first has a BOS.
    const { template } = this.#facts;
    if (!addBos || template === null || sample.ids[0] === bos) return;
    if (template.form === 'slots') this.#log.add('missing_bos', sample);
    else error('missing_bos');
  }

  #checkEnd(sample: TokenizedSample, isCut: boolean, error: (code: string) => void): void {
    const { ids, learned } = sample;
    const padding = trailing(ids, this.#pad);
    if (padding >= 2 && learned.at(-1) === 1) error('padding_learned');
    if (this.#facts.template === null || this.#endsWithStop(sample)) return;
    if (isCut) this.#log.add('answer_cut', sample);
    else error('stop_not_learned');
  }

  #endsWithStop({ ids, learned, labels }: TokenizedSample): boolean {
    const last = learned.lastIndexOf(1);
    for (let i = last; i > last - TAIL_TOKENS && i >= 0 && learned[i] === 1; i--) {
      const label = labels?.[i] ?? IGNORE_LABEL;
      if (this.#stops.has(label === IGNORE_LABEL ? (ids[i] ?? 0) : label)) return true;
    }
    return false;
  }
}

/** Equal tokens at the end. */
function trailing(ids: Int32Array, token: number | null): number {
  let count = 0;
  while (token !== null && count < ids.length && ids[ids.length - 1 - count] === token) count++;
  return count;
}

/** Tells tokens that are part of a character only; looks each id up once. */
class ByteTokens {
  readonly #tokenizer: Tokenizer;
  readonly #kinds: Uint8Array;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#kinds = new Uint8Array(tokenizer.vocabSize);
  }

  has(id: number): boolean {
    const known = this.#kinds[id];
    if (known !== 0) return known === 2;
    const isByte = !this.#tokenizer.isSpecial(id) && this.#isPart(id);
    this.#kinds[id] = isByte ? 2 : 1;
    return isByte;
  }

  #isPart(id: number): boolean {
    const token = this.#tokenizer.idToToken(id) ?? '';
    if (this.#tokenizer.kind === 'sentencepiece-bpe') return /^<0x[89A-F][0-9A-F]>$/.test(token);
    return token !== '\ufffd' && this.#tokenizer.decode([id]).includes('\ufffd');
  }
}
