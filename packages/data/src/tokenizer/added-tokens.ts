/**
 * Finds added tokens in text, as Hugging Face tokenizers does: leftmost, then longest, with the flags
 * single_word, lstrip and rstrip. Tokens marked `normalized` are looked for after normalization, the
 * others before.
 */

import type { AddedToken } from './definition.js';

/** A stretch of text, or one token found in it. */
export type TextPart =
  | { readonly kind: 'text'; readonly text: string; readonly start: number }
  | { readonly kind: 'token'; readonly id: number };

/** Looks for a fixed set of spellings. */
export interface AddedTokenFinder {
  /** Cuts `text` at the tokens; special ones are passed over when `parseSpecial` is false. */
  split(text: string, parseSpecial: boolean): readonly TextPart[];
}

const WORD_AT_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_AT_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** Builds a finder; spellings that are empty are ignored. Returns null when there are none. */
export function createFinder(
  tokens: readonly { readonly spelling: string; readonly token: AddedToken }[],
): AddedTokenFinder | null {
  const bySpelling = new Map<string, AddedToken>();
  for (const { spelling, token } of tokens) {
    if (spelling !== '' && !bySpelling.has(spelling)) {
      bySpelling.set(spelling, token);
    }
  }
  if (bySpelling.size === 0) {
    return null;
  }
  // Longest first: alternatives are tried in order, so the first that matches is the longest.
  const spellings = [...bySpelling.keys()].sort((a, b) => b.length - a.length);
  const source = spellings.map((text) => text.replace(/[\^$\\.*+?()[\]{}|/-]/g, '\\$&')).join('|');
  // Without the u flag: spellings are matched as code units, which is exact for well-formed text.
  const pattern = new RegExp(source, 'g');
  return { split: (text, parseSpecial) => splitText(text, { pattern, bySpelling, parseSpecial }) };
}

function splitText(
  text: string,
  finder: {
    readonly pattern: RegExp;
    readonly bySpelling: ReadonlyMap<string, AddedToken>;
    readonly parseSpecial: boolean;
  },
): readonly TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  for (const match of text.matchAll(finder.pattern)) {
    const token = finder.bySpelling.get(match[0]);
    const range = token && matchRange(text, match, token, from);
    if (token === undefined || range === undefined || (token.special && !finder.parseSpecial)) {
      continue;
    }
    if (from < range.start) {
      parts.push({ kind: 'text', text: text.slice(from, range.start), start: from });
    }
    parts.push({ kind: 'token', id: token.id });
    from = range.stop;
  }
  if (from < text.length) {
    parts.push({ kind: 'text', text: from === 0 ? text : text.slice(from), start: from });
  }
  return parts;
}

/** Where the token stands once its flags are applied; undefined when single_word forbids it. */
function matchRange(
  text: string,
  match: RegExpExecArray,
  token: AddedToken,
  from: number,
): { readonly start: number; readonly stop: number } | undefined {
  let start = match.index;
  let stop = start + match[0].length;
  if (token.singleWord && touchesWord(text, start, stop)) {
    return undefined;
  }
  if (token.lstrip) {
    while (start > from && SPACE.test(text.charAt(start - 1))) {
      start--;
    }
  }
  if (token.rstrip) {
    while (stop < text.length && SPACE.test(text.charAt(stop))) {
      stop++;
    }
  }
  return { start, stop };
}

function touchesWord(text: string, start: number, stop: number): boolean {
  // Two code units are enough to hold the neighbouring character.
  return (
    WORD_AT_END.test(text.slice(Math.max(0, start - 2), start)) ||
    WORD_AT_START.test(text.slice(stop, stop + 2))
  );
}
