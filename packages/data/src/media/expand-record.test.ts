import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRejection } from '../handlers/conversation.js';
import { dialogueParser } from '../handlers/dialogue-record.js';
import { expandRecordMedia, type RecordMediaNames } from './expand-record.js';
import { createMediaChecker } from './media-checker.js';

const mediaDir = join(import.meta.dirname, '../../test/fixtures/media/files');
const checker = createMediaChecker({
  mediaDir,
  plugin: { plugin: 'mllama' },
  seriesEncoding: { method: 'decimal', digits: 0 },
});

async function expand(record: { [key: string]: unknown }, names?: RecordMediaNames) {
  const before = JSON.stringify(record);
  const expanded = await expandRecordMedia(record, checker, names);
  expect(JSON.stringify(record), 'the record itself is not changed').toBe(before);
  if (isRejection(expanded)) throw new Error(`${expanded.bucket}: ${expanded.reason}`);
  return expanded;
}

describe('a record with media becomes one of text', () => {
  it('in the OpenAI form, as LLaMA-Factory’s demo has it', async () => {
    const expanded = await expand({
      messages: [
        { role: 'system', content: 'On <image>.' },
        { role: 'user', content: '<image>Who are they?' },
        { role: 'assistant', content: 'Dogs.' },
        { role: 'user', content: [{ type: 'text', text: 'And now?<image>' }] },
        { role: 'assistant', content: 'One dog.' },
      ],
      images: ['dog_on_skateboard.jpg', 'rgb.png'],
      id: 5,
    });
    expect(expanded.record).toEqual({
      messages: [
        { role: 'system', content: 'On <image>.' },
        { role: 'user', content: '<|image|>Who are they?' },
        { role: 'assistant', content: 'Dogs.' },
        { role: 'user', content: [{ type: 'text', text: 'And now?<|image|>' }] },
        { role: 'assistant', content: 'One dog.' },
      ],
      id: 5,
    });
    expect(expanded.media.map(({ path }) => path)).toEqual(['dog_on_skateboard.jpg', 'rgb.png']);
    expect(expanded.extraTokens).toBe(2);
    const dialogue = dialogueParser('openai', {})(expanded.record);
    if (isRejection(dialogue)) throw new Error(dialogue.reason);
    expect(dialogue.media).toBeUndefined();
  });

  it('in the ShareGPT form with other names, and one medium that is no list', async () => {
    const names = { form: 'sharegpt', columns: { messages: 'talk', images: 'photo' } } as const;
    const record = {
      talk: [
        { from: 'human', value: 'Look: <image>' },
        { from: 'gpt', value: 'Nice.' },
      ],
      photo: 'rgb.png',
    };
    const expanded = await expand(record, names);
    expect(expanded.record).toEqual({
      talk: [
        { from: 'human', value: 'Look: <|image|>' },
        { from: 'gpt', value: 'Nice.' },
      ],
    });
  });

  it('in the Alpaca form: history first, then question and answer, whatever the order of fields', async () => {
    const expanded = await expand({
      output: 'Like <image>.',
      instruction: 'And <image>',
      input: '<image>?',
      history: [['<image>', 'A.']],
      images: ['rgb.png', 'baseline.jpg', 'still.gif', 'rgb.bmp'],
    });
    expect(expanded.record).toEqual({
      output: 'Like <|image|>.',
      instruction: 'And <|image|>',
      input: '<|image|>?',
      history: [['<|image|>', 'A.']],
    });
  });

  it('with series, where their column is named', async () => {
    const record = {
      instruction: 'Walking? <ts>',
      output: 'Yes.',
      motion: [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    };
    const expanded = await expand(record, { seriesColumn: 'motion' });
    expect(expanded.record).toEqual({ instruction: 'Walking? 1, 2\n3, 4', output: 'Yes.' });
    expect(expanded.media[0]!.column).toBe('series');
  });

  it('and stays the same record when it has none', async () => {
    const record = { instruction: 'Hello', output: 'Hi' };
    expect((await expand(record)).record).toBe(record);
  });

  it('or a rejection', async () => {
    const cases: [{ [key: string]: unknown }, string][] = [
      [{ instruction: '<image>', output: 'a' }, 'media_count_mismatch'],
      [{ instruction: 'b', output: 'a', images: ['rgb.png'] }, 'media_count_mismatch'],
      [{ instruction: '<image>', output: 'a', images: ['none.png'] }, 'media_not_found'],
      [{ instruction: '<image>', output: 'a', images: [5] }, 'wrong_type'],
      [{ instruction: '<video>', output: 'a', videos: ['mpeg4.mov'] }, 'unsupported_content'],
    ];
    for (const [record, bucket] of cases) {
      const expanded = await expandRecordMedia(record, checker);
      expect(isRejection(expanded) && expanded.bucket, JSON.stringify(record)).toBe(bucket);
    }
  });
});
