/** Random dialogues with odd texts, tools and calls, against what LLaMA-Factory 0.9.3 makes of them. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeToResult, samples, tokenizers } from './template-cases.js';
import {
  type LfCase,
  type LfDialogue,
  llamaFactoryFixture,
  unpackLabels,
} from './template-fixtures.js';

afterAll(() => rmSync(tokenizers.root, { recursive: true }));

interface RandomCase {
  readonly template: string;
  readonly tokenizer: string;
  readonly dialogue: LfDialogue;
  readonly settings: Omit<LfCase, 'dialogue'>;
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

const { cases } = llamaFactoryFixture<{ readonly cases: readonly RandomCase[] }>('random.json.gz');

describe('random dialogues', () => {
  it.each(Object.keys(samples.templates))('%s gives the same ids and labels', async (name) => {
    const own = cases.filter(({ template }) => template === name);
    expect(own.length).toBeGreaterThan(0);
    for (const { tokenizer, dialogue, settings, ids, labels } of own) {
      const found = await encodeToResult({ name, tokenizer, dialogue, settings });
      expect(found, JSON.stringify(dialogue)).toEqual({ ids, labels: unpackLabels(labels) });
    }
  });
});
