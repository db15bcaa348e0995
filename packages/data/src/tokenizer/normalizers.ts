/** Applies and parses the normalizers of tokenizer.json. */

import type { NormalizerStep } from './definition.js';
import { asArray, asRecord, asString, booleanField, unsupported } from './json-fields.js';
import { normalizeForm } from './newer-forms.js';
import { compileSplitPattern } from './split-regex.js';

const KNOWN = [
  'Sequence',
  'Prepend',
  'Replace',
  'NFC',
  'NFD',
  'NFKC',
  'NFKD',
  'Lowercase',
  'Strip',
];

/** Runs the steps in order. An empty text stays empty: nothing is prepended to it. */
export function normalize(text: string, steps: readonly NormalizerStep[]): string {
  let out = text;
  for (const step of steps) {
    out = applyStep(out, step);
  }
  return out;
}

/**
 * Reads the `normalizer` member of tokenizer.json; null means none.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` for a type outside the known ones.
 */
export function parseNormalizer(value: unknown, where: string): readonly NormalizerStep[] {
  if (value === null || value === undefined) {
    return [];
  }
  const record = asRecord(value, where);
  const type = asString(record['type'], `${where}.type`);
  switch (type) {
    case 'Sequence':
      return asArray(record['normalizers'], `${where}.normalizers`).flatMap((step, i) =>
        parseNormalizer(step, `${where}.normalizers[${i}]`),
      );
    case 'Prepend':
      return [{ type: 'prepend', text: asString(record['prepend'], `${where}.prepend`) }];
    case 'Replace':
      return [
        {
          type: 'replace',
          pattern: parsePattern(record['pattern'], `${where}.pattern`),
          content: asString(record['content'], `${where}.content`),
        },
      ];
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return [{ type: 'unicode', form: type }];
    case 'Lowercase':
      return [{ type: 'lowercase' }];
    case 'Strip':
      return [
        {
          type: 'strip',
          left: booleanField(record, 'strip_left', true),
          right: booleanField(record, 'strip_right', true),
        },
      ];
    default:
      throw unsupported(where, `the normalizer ${type}`, KNOWN);
  }
}

/** Reads `{"String": …}` or `{"Regex": …}`. */
export function parsePattern(value: unknown, where: string): RegExp {
  const record = asRecord(value, where);
  if (typeof record['String'] === 'string') {
    return literalPattern(record['String']);
  }
  return compileSplitPattern(asString(record['Regex'], `${where}.Regex`), where);
}

/** A global pattern that matches exactly `text`. */
export function literalPattern(text: string): RegExp {
  return new RegExp(text.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&'), 'gu');
}

function applyStep(text: string, step: NormalizerStep): string {
  switch (step.type) {
    case 'prepend':
      return text === '' ? text : step.text + text;
    case 'replace':
      return text.replace(step.pattern, () => step.content);
    case 'unicode':
      return normalizeForm(text, step.form);
    case 'lowercase':
      // Letter by letter: a whole string would turn a final capital sigma into its end form.
      return text.replace(/\p{Changes_When_Lowercased}/gu, (char) => char.toLowerCase());
    case 'strip':
      return strip(text, step.left, step.right);
    case 'collapse-spaces':
      return text.replace(/ {2,}/g, ' ').replace(/^ | $/g, '');
  }
}

/** Trims by the Unicode White_Space property; `String.trim` would also take U+FEFF. */
function strip(text: string, left: boolean, right: boolean): string {
  let out = left ? text.replace(/^\p{White_Space}+/u, '') : text;
  if (right) {
    let end = out.length;
    while (end > 0 && /\p{White_Space}/u.test(out.charAt(end - 1))) {
      end--;
    }
    out = out.slice(0, end);
  }
  return out;
}
