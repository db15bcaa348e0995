/** Every named template against what LLaMA-Factory 0.9.3 makes of the same dialogues: ids and labels, exactly. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeAnswer, encodePreference } from '../src/encode/preference.js';
import { encodePrompt } from '../src/encode/sample-encoder.js';
import type { SlotPromptTemplate } from '../src/encode/slot-template.js';
import { isRejection } from '../src/handlers/conversation.js';
import { TEMPLATE_SPECS } from '../src/templates/index.js';
import { comparable, encodeCase, expected, open, samples, tokenizers } from './template-cases.js';
import { toDialogue, toMessage, unpackLabels } from './template-fixtures.js';

afterAll(() => rmSync(tokenizers.root, { recursive: true }));

describe.each(Object.keys(samples.templates))('template %s', (name) => {
  const fixture = samples.templates[name]!;

  it('gives the same ids and labels', async () => {
    for (const [caseName, result] of Object.entries(fixture.cases)) {
      const found = await encodeCase(name, fixture.tokenizer, caseName);
      expect(comparable(found), caseName).toEqual(comparable(expected(result)));
    }
  });

  it('stops answers and ends raw texts with the same tokens', async () => {
    const template = await open(name, fixture.tokenizer, { dialogue: '' });
    expect([...template.stopTokenIds].sort((a, b) => a - b)).toEqual(fixture.stop);
    expect(template.stopTokenIds[0]).toBe(fixture.eos);
    expect(template.documentEndTokenId).toBe(fixture.document.at(-1));
  });

  it('writes the same prompts', async () => {
    const { system = 'Count.', messages } = samples.dialogues['thoughts']!;
    const dialogue = toDialogue({ system, messages: messages.slice(0, 5) });
    const prompt = async (thinking: boolean) => {
      const template = await open(name, fixture.tokenizer, {
        dialogue: '',
        enable_thinking: thinking,
      });
      const ids = encodePrompt(dialogue, { tokenizer: template.tokenizer, template });
      return isRejection(ids) ? ids : [...ids];
    };
    expect(await prompt(true)).toEqual(fixture.prompt);
    if (fixture.promptThinkingOff !== undefined) {
      expect(await prompt(false)).toEqual(fixture.promptThinkingOff);
    }
  });

  it('gives the same preferences', async () => {
    for (const [caseName, record] of Object.entries(fixture.preferences)) {
      const cutoffLength = samples.preferences.cutoffs[caseName]!;
      const change = { dialogue: '', enable_thinking: cutoffLength !== 90 };
      const template = await open(name, fixture.tokenizer, change);
      expect(encodePreferences(template, cutoffLength), caseName).toEqual({
        ...record,
        chosenLabels: unpackLabels(record['chosenLabels']!),
        rejectedLabels: unpackLabels(record['rejectedLabels']!),
        ktoLabels: unpackLabels(record['ktoLabels']!),
      });
    }
  });
});

function encodePreferences(template: SlotPromptTemplate, cutoffLength: number) {
  const { tokenizer } = template;
  const options = { tokenizer, template, cutoffLength, overlength: 'truncate' } as const;
  const origin = { source: 'pairs', row: 1 };
  const { question, chosen, rejected } = samples.preferences;
  const answers = { chosen: toMessage(chosen), rejected: toMessage(rejected) };
  const messages = question.map(toMessage);
  const pair = encodePreference({ ...origin, messages, ...answers }, options);
  const rated = toDialogue({ system: 'Be kind.', messages: [...question, rejected] });
  const answer = encodeAnswer({ ...origin, ...rated }, options);
  if (isRejection(pair) || isRejection(answer)) throw new Error('refused');
  return {
    chosen: [...pair.chosen.ids],
    chosenLabels: [...pair.chosen.labels],
    rejected: [...pair.rejected.ids],
    rejectedLabels: [...pair.rejected.labels],
    kto: [...answer.ids],
    ktoLabels: [...answer.labels],
  };
}

describe('the registry', () => {
  it('has every template that the fixtures have', () => {
    expect(TEMPLATE_SPECS.map((spec) => spec.name)).toEqual(Object.keys(samples.templates).sort());
  });
});
