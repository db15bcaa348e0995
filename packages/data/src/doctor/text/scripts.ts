/** Which script a text is written in, from its letters. */

/** Scripts told apart; Kana counts as Japanese, Han alone as Chinese characters. */
export type ScriptName =
  | 'Latin'
  | 'Cyrillic'
  | 'Greek'
  | 'Arabic'
  | 'Hebrew'
  | 'Devanagari'
  | 'Thai'
  | 'Han'
  | 'Kana'
  | 'Hangul'
  | 'other';

/** First and last code unit of each block, ascending. */
const BLOCKS: readonly (readonly [number, number, ScriptName])[] = [
  [0x41, 0x5a, 'Latin'],
  [0x61, 0x7a, 'Latin'],
  [0xc0, 0x24f, 'Latin'],
  [0x370, 0x3ff, 'Greek'],
  [0x400, 0x52f, 'Cyrillic'],
  [0x590, 0x5ff, 'Hebrew'],
  [0x600, 0x77f, 'Arabic'],
  [0x900, 0x97f, 'Devanagari'],
  [0x980, 0xdff, 'other'],
  [0xe00, 0xe7f, 'Thai'],
  [0xe80, 0x10ff, 'other'],
  [0x1100, 0x11ff, 'Hangul'],
  [0x1e00, 0x1eff, 'Latin'],
  [0x3040, 0x30ff, 'Kana'],
  [0x3400, 0x9fff, 'Han'],
  [0xac00, 0xd7af, 'Hangul'],
];

/** Letters looked at. */
const LETTERS_MAX = 400;
/** Letters before a text has a script. */
const LETTERS_MIN = 12;
/** Share of the letters that the leading script has at least; below, a text is mixed. */
const LEADING_SHARE = 0.7;
/** Scripts of which one character stands for several letters of the others. */
const DENSE: readonly ScriptName[] = ['Han', 'Kana', 'Hangul'];
const DENSE_WEIGHT = 3;

/**
 * The script of most letters; undefined for short or mixed texts. Japanese mixes Han with Kana and counts as Kana as
 * soon as a tenth of it is Kana.
 */
export function scriptOf(text: string): ScriptName | undefined {
  const counts = countLetters(text);
  let letters = 0;
  for (const count of counts.values()) letters += count;
  if (letters < LETTERS_MIN) return undefined;
  const kana = counts.get('Kana') ?? 0;
  if (kana > 0 && kana >= letters / 10) counts.set('Kana', kana + (counts.get('Han') ?? 0));
  for (const [script, count] of counts) if (count >= letters * LEADING_SHARE) return script;
  return undefined;
}

function countLetters(text: string): Map<ScriptName, number> {
  const counts = new Map<ScriptName, number>();
  let letters = 0;
  for (let i = 0; i < text.length && letters < LETTERS_MAX; i++) {
    const script = scriptOfUnit(text.charCodeAt(i));
    if (script === undefined) continue;
    const weight = DENSE.includes(script) ? DENSE_WEIGHT : 1;
    counts.set(script, (counts.get(script) ?? 0) + weight);
    letters += weight;
  }
  return counts;
}

function scriptOfUnit(unit: number): ScriptName | undefined {
  return BLOCKS.find(([first, last]) => unit >= first && unit <= last)?.[2];
}
