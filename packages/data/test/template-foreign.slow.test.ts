/** As template-golden.test.ts, with tokenizers whose vocabulary lacks the markers: stop words get new ids. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { comparable, encodeCase, expected, open, samples, tokenizers } from './template-cases.js';

afterAll(() => rmSync(tokenizers.root, { recursive: true }));

describe.each(Object.keys(samples.templates))('template %s', (name) => {
  const { foreign } = samples.templates[name]!;

  it('gives the same ids and labels, or refuses to be opened', async () => {
    if (foreign === undefined) {
      await tokenizers.open('gpt2');
      const refused = open(name, 'gpt2', { dialogue: '' });
      await expect(refused).rejects.toMatchObject({ code: 'DATA_TEMPLATE_MISMATCH' });
      return;
    }
    for (const [caseName, result] of Object.entries(foreign.cases)) {
      const found = await encodeCase(name, foreign.tokenizer, caseName);
      expect(comparable(found), caseName).toEqual(comparable(expected(result)));
    }
    const { tokenizer } = await open(name, foreign.tokenizer, { dialogue: '' });
    expect(tokenizer.vocabSize).toBe(foreign.vocabAfter);
  });
});
