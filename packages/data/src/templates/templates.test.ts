import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeGguf } from '@tuneyard/formats';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import {
  type ChatMessage,
  ChatTemplate,
  chatTemplateFor,
  loadChatTemplate,
  namedTemplate,
  renderSegments,
  TEMPLATE_NAMES,
} from './index.js';
import { strftime } from './strftime.js';

const TALK: readonly ChatMessage[] = [
  { role: 'system', content: 'S' },
  { role: 'user', content: 'U' },
  { role: 'assistant', content: 'A' },
  { role: 'user', content: 'V' },
  { role: 'assistant', content: 'B' },
];
const TOKENS = { bosToken: '<s>', eosToken: '</s>' };

/** Learned text in square brackets, so that one string shows rendering and mask. */
function marked(template: ChatTemplate, messages: readonly ChatMessage[]): string {
  return renderSegments(template, messages)
    .map(({ text, learned }) => (learned ? `⟦${text}⟧` : text))
    .join('');
}

describe('built-in templates', () => {
  it.each([
    [
      'alpaca',
      'S\n\n### Instruction:\nU\n\n### Response:\n⟦A</s>⟧\n\n### Instruction:\nV\n\n### Response:\n⟦B</s>⟧\n\n',
    ],
    [
      'chatml',
      '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n⟦A<|im_end|>⟧\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n⟦B<|im_end|>⟧\n',
    ],
    ['deepseek3', '<s>S<｜User｜>U<｜Assistant｜>⟦A</s>⟧<｜User｜>V<｜Assistant｜>⟦B</s>⟧'],
    [
      'default',
      'System: S</s>\nHuman: U</s>\nAssistant:⟦A</s>⟧\nHuman: V</s>\nAssistant:⟦B</s>⟧\n',
    ],
    ['empty', 'SU⟦A</s>⟧V⟦B</s>⟧'],
    [
      'gemma',
      '<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n⟦A<end_of_turn>⟧\n<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n⟦B<end_of_turn>⟧\n',
    ],
    ['llama2', '<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST]⟦A</s>⟧<s>[INST] V [/INST]⟦B</s>⟧'],
    [
      'llama3',
      '<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦A<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦B<|eot_id|>⟧',
    ],
    ['mistral', '<s>[INST] S\n\nU[/INST]⟦ A</s>⟧[INST] V[/INST]⟦ B</s>⟧'],
    [
      'phi3',
      '<|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\n⟦A<|end|>⟧\n<|user|>\nV<|end|>\n<|assistant|>\n⟦B<|end|>⟧\n',
    ],
    ['vicuna', 'S USER: U ASSISTANT:⟦A</s>⟧USER: V ASSISTANT:⟦B</s>⟧'],
    [
      'zephyr',
      '<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\n⟦A</s>⟧\n<|user|>\nV</s>\n<|assistant|>\n⟦B</s>⟧\n',
    ],
  ])('%s writes its frame and learns the answers with their stop text', (name, expected) => {
    expect(marked(namedTemplate(name, TOKENS), TALK)).toBe(expected);
  });

  it('qwen brings its own system text where none is given', () => {
    const text = namedTemplate('qwen').render(TALK.slice(1, 2), { addGenerationPrompt: true });
    expect(text).toBe(
      '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('keep their prefix in every conversation, whatever it says', () => {
    const content = fc.oneof(
      fc.constantFrom('</s>', '<|im_end|>\n', '\n', ' ', '<', 'Assistant:'),
      fc.string({ maxLength: 8 }),
    );
    const message = fc.record({
      role: fc.constantFrom('system', 'user', 'assistant'),
      content,
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...TEMPLATE_NAMES),
        fc.array(message, { maxLength: 6 }),
        (name, messages) => {
          const template = namedTemplate(name, TOKENS);
          const segments = renderSegments(template, messages);
          expect(segments.map(({ text }) => text).join('')).toBe(
            template.render(messages, { addGenerationPrompt: false }),
          );
        },
      ),
      { numRuns: 300, seed: 6 },
    );
  });

  it('suggests names near to an unknown one and refuses unknown roles', () => {
    expect(() => namedTemplate('llama33')).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_UNKNOWN',
        hint: expect.stringContaining('llama3') as string,
      }) as Error,
    );
    expect(() => namedTemplate('constructor')).toThrow(/no built-in chat template "constructor"/);
    const odd = [{ role: 'narrator', content: 'x' }];
    expect(() => namedTemplate('vicuna').render(odd, { addGenerationPrompt: false })).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_REFUSED',
        details: expect.objectContaining({ templateMessage: 'Unknown role: narrator' }) as object,
      }) as Error,
    );
  });
});

describe('a chat template', () => {
  it('sees tools, the clock, special tokens and extra variables', () => {
    const template = new ChatTemplate(
      "{{ bos_token }}{{ strftime_now('%d %b %Y') }} {{ tools | tojson }} {{ unk_token }} {{ mood }}{{ eos_token }}",
      'test',
      { ...TOKENS, specialTokens: { unk_token: '<unk>' }, now: () => new Date(2026, 10, 5) },
    );
    expect(
      template.render([], {
        addGenerationPrompt: false,
        tools: [{ name: 'é<' }],
        extra: { mood: 'calm' },
      }),
    ).toBe('<s>05 Nov 2026 [{"name": "é<"}] <unk> calm</s>');
  });

  it('learns what generation markers enclose, trimmed like any block', () => {
    const source = `{% for m in messages %}
{% if m.role == 'assistant' %}
A: {% generation %}{{ m.content }}<end>{% endgeneration %}

{% else %}
U: {{ m.content }}
{% endif %}
{% endfor %}`;
    const template = new ChatTemplate(source, 'test');
    expect(template.hasGenerationMarkers).toBe(true);
    expect(marked(template, TALK.slice(1))).toBe('U: U\nA: ⟦A<end>⟧\nU: V\nA: ⟦B<end>⟧\n');
    const hostile = [{ role: 'assistant', content: '\ue0000\ue001' }];
    expect(marked(template, hostile)).toBe('A: ⟦\ue0000\ue001<end>⟧\n');
  });

  it('names what is wrong with its syntax', () => {
    expect(() => new ChatTemplate('{% for %}', 'test')).toThrow(
      expect.objectContaining({ code: 'CHAT_TEMPLATE_SYNTAX' }) as Error,
    );
    expect(() =>
      new ChatTemplate('{{ messages[0].x.y() }}', 'test').render([], { addGenerationPrompt: true }),
    ).toThrow(expect.objectContaining({ code: 'CHAT_TEMPLATE_FAILED' }) as Error);
  });

  it('formats dates like strftime in the C locale', () => {
    const date = new Date(2026, 1, 3, 15, 4, 5);
    expect(strftime(date, '%A %a %d %B %b %y %Y %j %H %I %p %M %S %% %Q')).toBe(
      'Tuesday Tue 03 February Feb 26 2026 034 15 03 PM 04 05 % %Q',
    );
  });
});

describe('loading', () => {
  let dir = '';
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'chat-template-'));
    tokenizer = await loadTokenizer(
      fileURLToPath(new URL('../../test/fixtures/tokenizer/stories260k/', import.meta.url)),
    );
  });

  afterAll(async () => {
    await rm(dir, { recursive: true });
  });

  async function folder(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    await mkdir(join(dir, name));
    for (const [file, text] of Object.entries(files)) {
      await writeFile(join(dir, name, file), text);
    }
    return join(dir, name);
  }

  it('takes chat_template.jinja before tokenizer_config.json, and the special tokens', async () => {
    const config = JSON.stringify({ chat_template: 'config' });
    const both = await folder('both', {
      'chat_template.jinja': '{{ bos_token }}{{ unk_token }}{{ eos_token }}',
      'tokenizer_config.json': config,
    });
    const template = await loadChatTemplate(both, tokenizer);
    expect(template?.render([], { addGenerationPrompt: false })).toBe('<s><unk></s>');
    const one = await folder('one', { 'tokenizer_config.json': config });
    expect((await loadChatTemplate(join(one, 'tokenizer_config.json'), tokenizer))?.source).toBe(
      'config',
    );
  });

  it('chooses among named templates', async () => {
    const chat_template = [
      { name: 'default', template: 'D' },
      { name: 'tool_use', template: 'T' },
    ];
    const path = await folder('named', {
      'tokenizer_config.json': JSON.stringify({ chat_template }),
    });
    expect((await loadChatTemplate(path, tokenizer))?.source).toBe('D');
    expect((await loadChatTemplate(path, tokenizer, { variant: 'tool_use' }))?.source).toBe('T');
    await expect(loadChatTemplate(path, tokenizer, { variant: 'rag' })).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_BAD_FILE',
      message: expect.stringContaining('found: default, tool_use') as string,
    });
  });

  it('reads the template of a GGUF file', async () => {
    const path = join(dir, 'model.gguf');
    const metadata = new Map([
      ['tokenizer.chat_template', { type: 'string', value: 'G{{ messages | length }}' }],
    ] as const);
    await writeGguf(path, { metadata, tensors: [] });
    const template = await loadChatTemplate(path, tokenizer);
    expect(template?.render(TALK, { addGenerationPrompt: false })).toBe('G5');
  });

  it('says so when a model has none, and takes a built-in one by name', async () => {
    const path = await folder('none', { 'tokenizer_config.json': '{}' });
    expect(await loadChatTemplate(path, tokenizer)).toBeNull();
    await expect(chatTemplateFor(path, tokenizer)).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_MISSING',
      hint: expect.stringContaining('alpaca') as string,
    });
    const named = await chatTemplateFor(path, tokenizer, { name: 'empty' });
    expect(named.render(TALK.slice(2, 3), { addGenerationPrompt: false })).toBe('A</s>');
  });

  it('names a damaged file', async () => {
    const path = await folder('damaged', { 'tokenizer_config.json': '{' });
    await expect(loadChatTemplate(path, tokenizer)).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_BAD_FILE',
    });
  });
});
