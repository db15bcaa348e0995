import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { formatPreview, previewSamples } from './preview-samples.js';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const dir = new URL('../../../../assets/models/stories260k-hf', import.meta.url);
  tokenizer = await loadTokenizer(fileURLToPath(dir));
});

function sampleOf(text: string, learnedFrom: number) {
  const ids = Int32Array.from([...tokenizer.encode(text), 1]);
  const learned = Uint8Array.from(ids, (_, i) => (i >= learnedFrom ? 1 : 0));
  return { ids, learned, row: 3, source: 'qa' };
}

describe('previewing samples', () => {
  it('joins to the decoded text, also where characters are spread over byte tokens', () => {
    const sample = sampleOf('Tim said "ünïcode 🙂" to mom.', 5);
    const [preview] = previewSamples([sample], tokenizer);
    expect(preview!.tokens.map((token) => token.text).join('')).toBe(tokenizer.decode(sample.ids));
    expect(preview!.tokens.map((token) => token.id)).toEqual([...sample.ids]);
    expect(preview).toMatchObject({ source: 'qa', row: 3, learnedCount: sample.ids.length - 5 });
  });

  it('brackets what is learned and shows BOS, stop token and line feeds', () => {
    const text = 'Who ran?\nTim';
    const learnedFrom = tokenizer.encode('Who ran?\n').length;
    const [preview] = previewSamples([sampleOf(text, learnedFrom)], tokenizer);
    const learned = preview!.learnedCount;
    const total = preview!.tokens.length;
    expect(formatPreview(preview!, { color: false })).toBe(
      `qa, row 3: ${total} tokens, ${learned} learned, ${total - learned} masked\n` +
        '<s> Who ran?⏎\n⟦Tim<s>⟧',
    );
  });

  it('shows a token that is learned as another beside that one', () => {
    const { ids, learned, ...rest } = sampleOf('Who ran? Tim', 4);
    const labels = Int32Array.from(ids, (id, i) => (learned[i] === 1 ? id : -100));
    labels[0] = 2;
    labels[4] = 2;
    const [preview] = previewSamples([{ ids, learned, labels, ...rest }], tokenizer);
    const changed = preview!.tokens.filter((token) => token.learnedAs !== undefined);
    expect(changed).toEqual([
      expect.objectContaining({ id: ids[4], learnedAs: { id: 2, text: '</s>' } }),
    ]);
    expect(formatPreview(preview!, { color: false })).toContain(`${changed[0]!.text}→</s>`);
  });

  it('colours the same text without brackets', () => {
    const [preview] = previewSamples([sampleOf('Who ran? Tim', 4)], tokenizer);
    const colored = formatPreview(preview!, { color: true });
    const plain = formatPreview(preview!, { color: false });
    const codes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
    expect(colored.replace(codes, '')).toBe(plain.replace(/[⟦⟧]/g, ''));
    expect(colored).toContain('\u001b[32m');
  });

  it('lets no control sequence of a data set reach the terminal', () => {
    const [preview] = previewSamples([sampleOf('a\u001b[2Jb\tc\u202e', 1)], tokenizer);
    const text = formatPreview(preview!, { color: false });
    expect(text).toContain('\\u001b[2Jb⇥c\\u202e');
    expect(text).not.toContain('\u001b');
  });
});
