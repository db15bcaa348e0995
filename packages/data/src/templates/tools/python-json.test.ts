import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  formatPythonJson,
  type PythonValue,
  parsePythonJson,
  pythonText,
  toPythonValue,
} from './python-json.js';

interface Fixture {
  readonly json: readonly {
    readonly text: string;
    readonly flat: string;
    readonly indented: string;
  }[];
  readonly text: readonly { readonly text: string; readonly str: string }[];
}
const path = new URL('../../../test/fixtures/llama-factory/python-json.json', import.meta.url);
const fixture = JSON.parse(readFileSync(path, 'utf8')) as Fixture;

function parse(text: string): PythonValue {
  const value = parsePythonJson(text);
  if (value === undefined) throw new Error(`not JSON: ${text}`);
  return value;
}

describe('JSON as Python has it', () => {
  it.each(fixture.json)('writes $text as CPython does', ({ text, flat, indented }) => {
    expect(formatPythonJson(parse(text))).toBe(flat);
    expect(formatPythonJson(parse(text), 4)).toBe(indented);
  });

  it.each(fixture.text)('puts $text into a text as str() does', ({ text, str }) => {
    expect(pythonText(parse(text))).toBe(str);
  });

  it('reads exactly what JSON.parse reads', () => {
    const good = ['{}', ' [ ] ', '"a\\u0041"', '-0.5e+3', '{"a":{"b":[1,null]}}', '\t1\r\n'];
    const bad = [
      '',
      '{',
      '[1,]',
      '{"a"}',
      '{"a":}',
      '01',
      '1.',
      '.5',
      '+1',
      "'a'",
      '"\n"',
      '"\\x"',
    ];
    const worse = ['NaN', 'nul', 'true1', '[1 2]', '{"a":1,}', '{1:2}', '"\u0000"', '[', '1e'];
    for (const text of good) {
      expect(JSON.parse(formatPythonJson(parse(text))), text).toEqual(JSON.parse(text));
    }
    for (const text of [...bad, ...worse]) {
      expect(() => JSON.parse(text) as unknown, text).toThrow();
      expect(parsePythonJson(text), text).toBeUndefined();
    }
  });

  it('refuses what is nested too deep and takes long texts', () => {
    expect(parsePythonJson('['.repeat(400) + ']'.repeat(400))).toBeDefined();
    expect(parsePythonJson('['.repeat(100_000))).toBeUndefined();
    const long = JSON.stringify('x\\"\n'.repeat(500_000));
    expect(parse(long)).toBe(JSON.parse(long));
  });

  it('takes values that JavaScript parsed', () => {
    const value = { a: [1, 2.5, 1e21, null, true, 'é'], b: {} };
    expect(formatPythonJson(toPythonValue(value))).toBe(
      '{"a": [1, 2.5, 1000000000000000000000, null, true, "é"], "b": {}}',
    );
  });
});
