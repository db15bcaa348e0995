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
  renderSegments,
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

describe('cutting a rendering into learned and other text', () => {
  const source =
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}\n" +
    '{% else %}[{{ m.role }}] {{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}{% endif %}';

  it('learns answers with their stop text, and loses nothing, whatever the messages say', () => {
    const template = new ChatTemplate(source, 'test', TOKENS);
    expect(marked(template, TALK)).toBe('<s>[system] S[user] U⟦A</s>⟧\n[user] V⟦B</s>⟧\n');
    const content = fc.oneof(
      fc.constantFrom('</s>', '<|im_end|>\n', '\n', ' ', '<', 'Assistant:'),
      fc.string({ maxLength: 8 }),
    );
    const message = fc.record({
      role: fc.constantFrom('system', 'user', 'assistant'),
      content,
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const segments = renderSegments(template, messages);
        expect(segments.map(({ text }) => text).join('')).toBe(
          template.render(messages, { addGenerationPrompt: false }),
        );
      }),
      { numRuns: 300, seed: 6 },
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

  it('says so when a model has none', async () => {
    const path = await folder('none', { 'tokenizer_config.json': '{}' });
    expect(await loadChatTemplate(path, tokenizer)).toBeNull();
    await expect(chatTemplateFor(path, tokenizer)).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_MISSING',
      hint: expect.stringContaining('data templates') as string,
    });
  });

  it('names a damaged file', async () => {
    const path = await folder('damaged', { 'tokenizer_config.json': '{' });
    await expect(loadChatTemplate(path, tokenizer)).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_BAD_FILE',
    });
  });
});
