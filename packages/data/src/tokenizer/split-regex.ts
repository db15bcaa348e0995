/**
 * Translates the split patterns of pre-tokenizers from Oniguruma / Rust notation to JavaScript.
 *
 * The notations look alike and differ where it matters: JavaScript's `\s` has U+FEFF and lacks U+0085,
 * its `\d` and `\w` are ASCII, `(?i:…)` does not exist in the V8 of Node 20, and there are no
 * possessive quantifiers. So a pattern is walked token by token and what is not known is refused by
 * name rather than guessed. `(?i:…)` is spelled out: `s` becomes `[sSſ]`, because simple case folding
 * also maps U+017F to s and U+212A to k.
 *
 * Checked against: npm tokenizers 0.23.2 (Oniguruma) on random text, per known pattern.
 */

import { TuneyardError } from '@tuneyard/core';
import { TOKENIZER_ERRORS } from './errors.js';

/** Patterns longer than this are refused; the longest known one (deepseek-llm) has 540 characters. */
const PATTERN_CHARS_MAX = 4096;

/** GPT-2's own pattern, which the `ByteLevel` pre-tokenizer of tokenizer.json implies. */
export const GPT2_SPLIT =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const WORD_SET = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
/** Shorthand escapes: what to write in a class, and outside one. */
const SHORTHANDS: Readonly<Record<string, { inClass: string | null; alone: string }>> = {
  s: { inClass: '\\p{White_Space}', alone: '\\p{White_Space}' },
  S: { inClass: '\\P{White_Space}', alone: '\\P{White_Space}' },
  d: { inClass: '\\p{Nd}', alone: '\\p{Nd}' },
  D: { inClass: '\\P{Nd}', alone: '\\P{Nd}' },
  w: { inClass: WORD_SET, alone: `[${WORD_SET}]` },
  W: { inClass: null, alone: `[^${WORD_SET}]` },
};
const CONTROL_ESCAPES: Readonly<Record<string, string>> = {
  r: '\\r',
  n: '\\n',
  t: '\\t',
  f: '\\f',
  v: '\\v',
};
const SCRIPTS = new Set([
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Latin',
  'Cyrillic',
  'Greek',
  'Thai',
]);
const GENERAL_CATEGORY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfosn]?)$/;
/** Must be escaped when a literal is written under the `u` flag. */
const SYNTAX_CHARACTER = /[\^$\\.*+?()[\]{}|/-]/;
const FOLDS: Readonly<Record<string, string>> = { s: 'sS\u017f', k: 'kK\u212a' };

/**
 * Compiles a split pattern to a global JavaScript regular expression.
 *
 * Throws: `TOKENIZER_BAD_REGEX` for a construct outside the known ones, naming it and its offset.
 */
export function compileSplitPattern(pattern: string, where: string): RegExp {
  if (pattern.length > PATTERN_CHARS_MAX) {
    throw badPattern(pattern, where, `longer than ${PATTERN_CHARS_MAX} characters`, 0);
  }
  const source = new PatternTranslator(pattern, where).translate();
  try {
    return new RegExp(source, 'gu');
  } catch (cause) {
    throw new TuneyardError(
      TOKENIZER_ERRORS.TOKENIZER_BAD_REGEX,
      `${where}: the pattern ${JSON.stringify(pattern)} is not a valid regular expression`,
      { cause },
    );
  }
}

function badPattern(pattern: string, where: string, what: string, at: number): TuneyardError {
  return new TuneyardError(
    TOKENIZER_ERRORS.TOKENIZER_BAD_REGEX,
    `${where}: the split pattern ${JSON.stringify(pattern.slice(0, 200))} has ${what} at offset ${at}, which is not supported`,
    { details: { where, at } },
  );
}

/** One pass over one pattern. */
class PatternTranslator {
  readonly #chars: readonly string[];
  readonly #pattern: string;
  readonly #where: string;
  #at = 0;
  #atomics = 0;
  /** Depth-wise: is the current group case-insensitive, and where in the output does it start. */
  readonly #groups: { insensitive: boolean; start: number; quantifiable: boolean }[] = [];
  #out: string[] = [];
  /** Index in `#out` of the last atom, or -1 when a quantifier may not follow. */
  #lastAtom = -1;

  constructor(pattern: string, where: string) {
    this.#pattern = pattern;
    this.#chars = Array.from(pattern);
    this.#where = where;
  }

  translate(): string {
    while (this.#at < this.#chars.length) {
      this.#step();
    }
    if (this.#groups.length > 0) {
      throw this.#refuse('an unclosed group');
    }
    return this.#out.join('');
  }

  #step(): void {
    const char = this.#peek();
    switch (char) {
      case '(':
        this.#openGroup();
        return;
      case ')':
        this.#closeGroup();
        return;
      case '[':
        this.#class();
        return;
      case '\\':
        this.#escape();
        return;
      case '|':
        this.#at++;
        this.#out.push('|');
        this.#lastAtom = -1;
        return;
      case '*':
      case '+':
      case '?':
      case '{':
        this.#quantifier();
        return;
      case '^':
        throw this.#refuse('the anchor ^');
      case '.':
        // Oniguruma and JavaScript disagree about which line ends a dot passes over.
        throw this.#refuse('an unescaped dot');
      case '$':
        this.#at++;
        this.#out.push('$');
        this.#lastAtom = -1;
        return;
      default:
        this.#at++;
        this.#atom(this.#literal(char));
    }
  }

  #peek(offset = 0): string {
    return this.#chars[this.#at + offset] ?? '';
  }

  #refuse(what: string): TuneyardError {
    return badPattern(this.#pattern, this.#where, what, this.#at);
  }

  #atom(text: string): void {
    this.#lastAtom = this.#out.length;
    this.#out.push(text);
  }

  #insensitive(): boolean {
    return this.#groups.at(-1)?.insensitive ?? false;
  }

  #literal(char: string): string {
    if (this.#insensitive()) {
      const folds = this.#folds(char);
      if (folds !== null) {
        return `[${folds}]`;
      }
    }
    return SYNTAX_CHARACTER.test(char) && char !== '-' ? `\\${char}` : char;
  }

  /** All spellings of a letter under simple case folding; null for a character without case. */
  #folds(char: string): string | null {
    const lower = char.toLowerCase();
    const upper = char.toUpperCase();
    if (lower === upper) {
      return null;
    }
    if (!/^[a-zA-Z]$/.test(char)) {
      throw this.#refuse(`the letter ${char} in (?i:…)`);
    }
    return FOLDS[lower] ?? lower + upper;
  }

  #openGroup(): void {
    const head = /^\((?:\?(?::|i:|=|!|<=|<!))?/.exec(
      this.#chars.slice(this.#at, this.#at + 4).join(''),
    );
    const opener = head?.[0] ?? '(';
    if (opener === '(' && this.#peek(1) === '?') {
      throw this.#refuse(`the group ${this.#chars.slice(this.#at, this.#at + 4).join('')}`);
    }
    const isLook = opener !== '(' && opener !== '(?:' && opener !== '(?i:';
    this.#groups.push({
      insensitive: opener === '(?i:' || this.#insensitive(),
      start: this.#out.length,
      quantifiable: !isLook,
    });
    // Captures are never read, so every plain group is non-capturing.
    this.#out.push(isLook ? opener : '(?:');
    this.#at += opener.length;
    this.#lastAtom = -1;
  }

  #closeGroup(): void {
    const group = this.#groups.pop();
    if (group === undefined) {
      throw this.#refuse('a closing bracket without a group');
    }
    this.#at++;
    const text = `${this.#out.splice(group.start).join('')})`;
    this.#out.push(text);
    this.#lastAtom = group.quantifiable ? group.start : -1;
  }

  #quantifier(): void {
    const rest = this.#chars.slice(this.#at).join('');
    const found = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(rest)?.[0];
    if (found === undefined) {
      throw this.#refuse('an unescaped {');
    }
    if (this.#lastAtom < 0) {
      throw this.#refuse(`the quantifier ${found} after nothing`);
    }
    this.#at += found.length;
    const suffix = this.#peek();
    if (suffix === '+' && found.startsWith('{')) {
      // Oniguruma reads {n,m}+ as a repeated interval, other engines as possessive.
      throw this.#refuse(`the quantifier ${found}+`);
    }
    const atom = this.#out.splice(this.#lastAtom).join('');
    if (suffix === '+') {
      this.#at++;
      const name = `atomic${++this.#atomics}`;
      this.#out.push(`(?=(?<${name}>${atom}${found}))\\k<${name}>`);
    } else if (suffix === '?') {
      this.#at++;
      this.#out.push(`${atom}${found}?`);
    } else {
      this.#out.push(`${atom}${found}`);
    }
    this.#lastAtom = -1;
  }

  #escape(): void {
    const char = this.#peek(1);
    const shorthand = SHORTHANDS[char];
    if (shorthand !== undefined) {
      this.#at += 2;
      this.#atom(shorthand.alone);
      return;
    }
    const text = this.#commonEscape();
    this.#atom(text.length === 1 || text.startsWith('\\') ? text : this.#literal(text));
  }

  /** Consumes `\p{…}`, `\r`, `\x41`, `\u{…}` and escaped punctuation; returns the JavaScript form. */
  #commonEscape(): string {
    const rest = this.#chars.slice(this.#at, this.#at + 48).join('');
    const property = /^\\([pP])\{(\^?)([A-Za-z_]+)\}/.exec(rest);
    if (property !== null) {
      this.#at += property[0].length;
      return this.#property(property[1] === 'P', property[2] === '^', property[3] ?? '');
    }
    const hex = /^\\(?:x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/.exec(rest);
    if (hex !== null) {
      this.#at += hex[0].length;
      return `\\u{${hex[1] ?? hex[2] ?? hex[3]}}`;
    }
    const char = this.#peek(1);
    const control = CONTROL_ESCAPES[char];
    if (control !== undefined) {
      this.#at += 2;
      return control;
    }
    if (char === '' || /[A-Za-z0-9]/.test(char)) {
      throw this.#refuse(`the escape \\${char}`);
    }
    this.#at += 2;
    return SYNTAX_CHARACTER.test(char) ? `\\${char}`.replace(/^\\-$/, '-') : char;
  }

  #property(negative: boolean, caret: boolean, name: string): string {
    const letter = negative !== caret ? 'P' : 'p';
    if (GENERAL_CATEGORY.test(name) || name === 'Alphabetic' || name === 'White_Space') {
      return `\\${letter}{${name}}`;
    }
    if (SCRIPTS.has(name)) {
      return `\\${letter}{Script=${name}}`;
    }
    throw this.#refuse(`the property ${name}`);
  }

  #class(): void {
    this.#at++;
    let text = '[';
    if (this.#peek() === '^') {
      this.#at++;
      text += '^';
    }
    let first = true;
    while (this.#peek() !== ']' || first) {
      if (this.#at >= this.#chars.length) {
        throw this.#refuse('an unclosed class');
      }
      text += this.#classMember();
      first = false;
    }
    this.#at++;
    this.#atom(`${text}]`);
  }

  #classMember(): string {
    const char = this.#peek();
    if (char === '[' || (char === '&' && this.#peek(1) === '&')) {
      throw this.#refuse(char === '[' ? 'a nested class' : 'a class intersection');
    }
    if (char === '\\') {
      return this.#classEscape();
    }
    this.#at++;
    if (char === '-') {
      return this.#isRange() ? '-' : '\\-';
    }
    const folds = this.#insensitive() ? this.#folds(char) : null;
    if (folds !== null && this.#peek() === '-') {
      throw this.#refuse('a range of letters in (?i:…)');
    }
    return folds ?? this.#classLiteral(char);
  }

  #classEscape(): string {
    const name = this.#peek(1);
    const shorthand = SHORTHANDS[name];
    if (shorthand === undefined) {
      const escaped = this.#commonEscape();
      return escaped === '-' ? '\\-' : escaped;
    }
    if (shorthand.inClass === null) {
      throw this.#refuse(`\\${name} in a class`);
    }
    this.#at += 2;
    return shorthand.inClass;
  }

  #classLiteral(char: string): string {
    return SYNTAX_CHARACTER.test(char) ? `\\${char}` : char;
  }

  /** Called just past a `-`: it spans a range unless it opens or closes the class. */
  #isRange(): boolean {
    const before = this.#peek(-2);
    const opens = before === '[' || (before === '^' && this.#peek(-3) === '[');
    return !opens && this.#peek() !== ']';
  }
}
