import { describe, expect, it } from 'vitest';
import { compileSplitPattern } from './split-regex.js';

function matches(pattern: string, text: string): readonly string[] {
  return text.match(compileSplitPattern(pattern, 'test')) ?? [];
}

describe('the split pattern translator', () => {
  it('takes white space from the Unicode property, not from JavaScript', () => {
    expect(matches('\\s+', 'a\u0085b\ufeffc\u2028d')).toEqual(['\u0085', '\u2028']);
    expect(matches('[^\\s]+', 'a\u0085b\ufeffc')).toEqual(['a', 'b\ufeffc']);
    expect(matches('\\S+', '\ufeff \u0085')).toEqual(['\ufeff']);
  });

  it('folds case as simple case folding does, long s and Kelvin sign included', () => {
    expect(matches("(?i:'s|'k)", "'s 'S '\u017f 'K '\u212a 'x")).toEqual([
      "'s",
      "'S",
      "'\u017f",
      "'K",
      "'\u212a",
    ]);
    expect(matches("'(?i:[sd]|ll)", "'S 'd 'Ll 'x")).toEqual(["'S", "'d", "'Ll"]);
  });

  it('keeps possessive quantifiers from giving back what they took', () => {
    expect(matches('a++a', 'aaa')).toEqual([]);
    expect(matches('a+a', 'aaa')).toEqual(['aaa']);
    expect(matches('(?:ab|c)?+b', 'abb cb b')).toEqual(['abb', 'cb', 'b']);
  });

  it('reads classes with ranges, dashes at the ends and escaped punctuation', () => {
    expect(matches('[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]', 'a-]\\^b')).toEqual([
      '-',
      ']',
      '\\',
      '^',
    ]);
    expect(matches('[-a-c-]+', 'a-d-c')).toEqual(['a-', '-c']);
    expect(matches('[]a]', 'a]b')).toEqual(['a', ']']);
    expect(matches('[\\x{4e00}-\\x{9fa5}]+', 'x中文y')).toEqual(['中文']);
    expect(matches('\\p{Han}+|\\P{L}', 'a中1')).toEqual(['中', '1']);
  });

  it.each([
    ['^a', 'the anchor ^'],
    ['a.b', 'an unescaped dot'],
    ['(?<name>a)', 'the group (?<n'],
    ['(?>a)', 'the group (?>a'],
    ['(a', 'an unclosed group'],
    ['a)', 'a closing bracket without a group'],
    ['[a[b]]', 'a nested class'],
    ['[a&&b]', 'a class intersection'],
    ['[a', 'an unclosed class'],
    ['[\\W]', '\\W in a class'],
    ['\\Ga', 'the escape \\G'],
    ['(a)\\1', 'the escape \\1'],
    ['\\p{Emoji}', 'the property Emoji'],
    ['\\p{N}{1,3}+', 'the quantifier {1,3}+'],
    ['*a', 'the quantifier * after nothing'],
    ['(?!a)+', 'the quantifier + after nothing'],
    ['(?i:[a-z])', 'a range of letters in (?i:…)'],
    ['(?i:é)', 'the letter é in (?i:…)'],
    ['a{,3}', 'an unescaped {'],
  ])('refuses %s, naming %s', (pattern, what) => {
    expect(() => compileSplitPattern(pattern, 'test')).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_BAD_REGEX',
        message: expect.stringContaining(what) as string,
      }) as Error,
    );
  });

  it('refuses a pattern beyond its length limit', () => {
    expect(() => compileSplitPattern('a'.repeat(5000), 'test')).toThrow(/longer than 4096/);
  });
});
