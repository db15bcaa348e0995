/** The tables of named templates against LLaMA-Factory's registry, and what is said about them. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import {
  describeTemplate,
  listTemplates,
  type Slot,
  suggestTemplate,
  TEMPLATE_NAMES,
  TEMPLATE_SPECS,
  templateSpec,
} from '../src/templates/index.js';
import { turnSlots } from '../src/templates/slots/slot-spec.js';
import { FixtureTokenizers, type LfSamples, llamaFactoryFixture } from './template-fixtures.js';

interface RegistryEntry {
  readonly class: string;
  readonly prefix: readonly Slot[];
  readonly system: readonly Slot[];
  readonly user: readonly Slot[];
  readonly assistant: readonly Slot[];
  readonly function: readonly Slot[];
  readonly observation: readonly Slot[];
  readonly toolFormat: readonly [string, string];
  readonly defaultSystem: string;
  readonly stopWords: readonly string[];
  readonly thoughtWords: readonly string[];
  readonly efficientEos: boolean;
  readonly replaceEos: boolean;
  readonly media: { readonly [kind: string]: string };
}

const registry = llamaFactoryFixture<{
  readonly templates: { readonly [name: string]: RegistryEntry };
}>('registry.json').templates;

describe('the tables of templates', () => {
  it('have every template of LLaMA-Factory 0.9.3 and no other', () => {
    expect(TEMPLATE_SPECS.map((spec) => spec.name)).toEqual(Object.keys(registry).sort());
    expect(TEMPLATE_SPECS).toHaveLength(99);
  });

  it.each(Object.keys(registry))('%s is the same in every field', (name) => {
    const spec = templateSpec(name);
    const { plugin: _, ...media } = spec.media ?? { plugin: '' };
    const toolFormat = spec.toolFormat ?? 'default';
    const kind = spec.reasoning === true ? 'ReasoningTemplate' : 'Template';
    expect({
      class: spec.systemInUser === true ? 'Llama2Template' : kind,
      ...turnSlots(spec),
      toolFormat: [toolFormat, toolFormat],
      defaultSystem: spec.defaultSystem ?? '',
      stopWords: spec.stopWords ?? [],
      thoughtWords: spec.thoughtWords ?? ['<think>', '</think>'],
      efficientEos: spec.efficientEos ?? false,
      replaceEos: spec.replaceEos ?? false,
      media,
    }).toEqual(registry[name]);
  });

  it('suggest names near to an unknown one', () => {
    expect(() => templateSpec('llama33')).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_UNKNOWN',
        hint: expect.stringContaining('llama3') as string,
      }) as Error,
    );
    expect(() => templateSpec('constructor')).toThrow(/no template "constructor"/);
    expect(() => templateSpec('zzzzzzzzzzzz')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('plain') as string }) as Error,
    );
  });

  it('are listed with their other names and described with their slots', () => {
    const list = listTemplates();
    const names = list.flatMap((template) => [template.name, ...template.otherNames]);
    expect(names.sort()).toEqual(TEMPLATE_NAMES);
    expect(list.every((template) => template.suits !== '')).toBe(true);
    expect(describeTemplate('phi3')).toMatchObject({
      name: 'phi',
      otherNames: ['phi3'],
      stopWords: ['<|end|>'],
      notes: ['<|end|> takes the place of EOS'],
      slots: { user: '<|user|>\n{{content}}<|end|>\n<|assistant|>\n', prefix: '' },
    });
    expect(describeTemplate('llama2').slots.user).toBe('‹bos›[INST] {{content}} [/INST]');
    expect(describeTemplate('glm4').notes).toEqual([
      'the end of an answer is learned on the next question',
    ]);
  });
});

describe('suggesting a template', () => {
  const samples = llamaFactoryFixture<LfSamples>('samples.json.gz');
  const tokenizers = new FixtureTokenizers(samples.tokenizers);
  afterAll(() => rmSync(tokenizers.root, { recursive: true }));

  async function suggest(tokenizer: string, own: string | null, modelType: string | null) {
    const folder = join(tokenizers.root, `${own}-${modelType}`);
    mkdirSync(folder, { recursive: true });
    if (own !== null) {
      const source = new URL(`./fixtures/chat-templates/templates/${own}.jinja`, import.meta.url);
      copyFileSync(fileURLToPath(source), join(folder, 'chat_template.jinja'));
    }
    const config = modelType === null ? {} : { model_type: modelType };
    return await suggestTemplate(folder, await tokenizers.open(tokenizer), config);
  }

  it.each([
    ['qwen3', 'qwen-marked', 'Qwen-Qwen3-0.6B', 'qwen3', 'certain'],
    ['qwen3', 'qwen-marked', 'Qwen-Qwen3-0.6B', null, 'certain'],
    ['qwen', 'qwen-marked', 'Qwen-Qwen2.5-7B-Instruct', 'qwen2', 'certain'],
    ['qwen', 'qwen-marked', 'Qwen-Qwen2.5-7B-Instruct', null, 'certain'],
    // Its EOS is another than this tokenizer's, so the texts differ.
    ['deepseekr1', 'qwen-marked', 'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B', 'qwen2', 'possible'],
    ['phi', 'phi-3-mini', 'microsoft-Phi-3.5-mini-instruct', 'phi3', 'certain'],
    ['ministral', 'qwen-marked', 'mistralai-Mistral-Nemo-Instruct-2407', 'mistral', 'likely'],
    ['granite3', 'qwen-marked', 'ibm-granite-granite-3.3-2B-Instruct', 'granite', 'likely'],
    ['qwen2_vl', 'qwen-marked', null, 'qwen2_vl', 'likely'],
    ['phi', 'phi-3-mini', null, 'phi3', 'likely'],
  ] as const)('%s for a %s tokenizer with %s, type %s', async (...row) => {
    const [expected, tokenizer, own, modelType, confidence] = row;
    const [first] = await suggest(tokenizer, own, modelType);
    expect(first).toMatchObject({ template: expected, confidence });
    expect(first?.reasons.length).toBeGreaterThan(0);
  });

  it('never suggests what the vocabulary cannot end, and nothing without evidence', async () => {
    const suggestions = await suggest('gpt2', null, 'qwen3');
    expect(suggestions).toEqual([]);
    expect(await suggest('gpt2', null, null)).toEqual([]);
  });
});
