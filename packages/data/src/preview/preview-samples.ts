/**
 * A sample as the trainer sees it: every token, and whether it is learned.
 *
 * The structured form is for pages and tests; the text form is for a terminal, with colour or with brackets
 * around what is learned.
 */
import { countLearned, type TokenizedSample } from '../encode/samples.js';
import type { Tokenizer } from '../tokenizer/index.js';

/** One token of a preview. */
export interface PreviewToken {
  readonly id: number;
  /** Its text within the sample; empty where a character is spread over several tokens until the last. */
  readonly text: string;
  readonly learned: boolean;
  /** True for control tokens such as BOS. */
  readonly special: boolean;
  /** Present where another token than this one is learned at its place. */
  readonly learnedAs?: { readonly id: number; readonly text: string };
}

/** A sample for looking at. */
export interface SamplePreview {
  readonly source: string;
  readonly row: number;
  readonly tokens: readonly PreviewToken[];
  readonly learnedCount: number;
}

/** Options of {@link formatPreview}. */
export interface PreviewFormat {
  /** True: ANSI colours. False: brackets ⟦ ⟧ around learned text. */
  readonly color: boolean;
}

/** Makes samples visible. The texts of a sample's tokens joined are its decoded text. */
export function previewSamples(
  samples: readonly TokenizedSample[],
  tokenizer: Tokenizer,
): SamplePreview[] {
  return samples.map((sample) => ({
    source: sample.source,
    row: sample.row,
    tokens: previewTokens(sample, tokenizer),
    learnedCount: countLearned(sample.learned),
  }));
}

function previewTokens(sample: TokenizedSample, tokenizer: Tokenizer): PreviewToken[] {
  const stream = tokenizer.streamDecoder();
  const tokens = Array.from(sample.ids, (id, index) => {
    const learned = sample.learned[index] === 1;
    const label = learned ? (sample.labels?.[index] ?? id) : id;
    const special = tokenizer.isSpecial(id);
    const token = { id, text: stream.push(id), learned, special };
    if (label === id) return token;
    return { ...token, learnedAs: { id: label, text: tokenizer.decode([label]) } };
  });
  const rest = stream.flush();
  const last = tokens.at(-1);
  if (last !== undefined) last.text += rest;
  return tokens;
}

const LEARNED = '\u001b[32m';
const SPECIAL = '\u001b[2m';
const RESET = '\u001b[0m';

/**
 * Formats a sample for a terminal: a line of counts, then its text. Line feeds are shown as ⏎ before the line
 * breaks, tabs as ⇥, other control characters by code; control tokens by name. A token that stands for another in
 * learning is followed by → and the one that is learned.
 */
export function formatPreview(preview: SamplePreview, { color }: PreviewFormat): string {
  const total = preview.tokens.length;
  const masked = total - preview.learnedCount;
  const head =
    `${preview.source}, row ${preview.row}: ${total} tokens, ` +
    `${preview.learnedCount} learned, ${masked} masked`;
  const body = runsOf(preview.tokens).map((run) => (color ? colored(run) : bracketed(run)));
  return `${head}\n${body.join('')}`;
}

interface TokenRun {
  readonly learned: boolean;
  readonly tokens: readonly PreviewToken[];
}

function runsOf(tokens: readonly PreviewToken[]): TokenRun[] {
  const runs: { learned: boolean; tokens: PreviewToken[] }[] = [];
  for (const token of tokens) {
    const last = runs.at(-1);
    if (last !== undefined && last.learned === token.learned) last.tokens.push(token);
    else runs.push({ learned: token.learned, tokens: [token] });
  }
  return runs;
}

function bracketed({ learned, tokens }: TokenRun): string {
  const text = tokens.map(shownToken).join('');
  return learned ? `⟦${text}⟧` : text;
}

function colored({ learned, tokens }: TokenRun): string {
  return tokens
    .map((token) => {
      const style = `${learned ? LEARNED : ''}${token.special ? SPECIAL : ''}`;
      const text = shownToken(token);
      return style === '' || text === '' ? text : `${style}${text}${RESET}`;
    })
    .join('');
}

function shownToken({ text, learnedAs }: PreviewToken): string {
  return learnedAs === undefined ? visible(text) : `${visible(text)}→${visible(learnedAs.text)}`;
}

/** Shows what a terminal would hide or act on. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    if (char === '\n') return '⏎\n';
    if (char === '\t') return '⇥';
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
