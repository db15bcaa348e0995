import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeOutputs, findTokenFiles } from './token-files.js';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-token-files-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const touch = async (...names: string[]) => {
  for (const name of names) {
    await writeFile(join(dir, `${name}.idx`), '');
    await writeFile(join(dir, `${name}.bin`), '');
  }
};
const namesOf = (files: readonly { prefix: string }[]) => files.map((f) => basename(f.prefix));

describe('names of prepared data sets', () => {
  it('are those of MindSpeed-LLM for every kind', () => {
    expect(namesOf(describeOutputs('/o/alpaca', 'pretrain', ['text', 'title']))).toEqual([
      'alpaca_text_document',
      'alpaca_title_document',
    ]);
    expect(namesOf(describeOutputs('/o/alpaca', 'instruction'))).toEqual([
      'alpaca_packed_input_ids_document',
      'alpaca_packed_attention_mask_document',
      'alpaca_packed_labels_document',
    ]);
    expect(namesOf(describeOutputs('/o/p', 'pairwise'))).toEqual([
      'p_packed_chosen_input_ids_document',
      'p_packed_chosen_labels_document',
      'p_packed_rejected_input_ids_document',
      'p_packed_rejected_labels_document',
    ]);
    expect(namesOf(describeOutputs('/o/k', 'kto'))).toEqual([
      'k_packed_input_ids_document',
      'k_packed_attention_mask_document',
      'k_packed_labels_document',
      'k_packed_kto_tags_document',
    ]);
    expect(namesOf(describeOutputs('/o/a', 'pretrain', ['text'], 'sentence'))).toEqual([
      'a_text_sentence',
    ]);
  });

  it.each([
    ['pretrain', ['text']],
    ['instruction', []],
    ['pairwise', []],
    ['kto', []],
  ] as const)('are found again by what a user passes, for %s', async (kind, fields) => {
    const files = describeOutputs(join(dir, 'alpaca'), kind, fields);
    await touch(...namesOf(files));
    const prefix = kind === 'pretrain' ? join(dir, 'alpaca_text_document') : join(dir, 'alpaca');
    const wanted = { kind, prefix, level: 'document', files };
    const first = files[0]!.prefix;
    for (const path of [prefix, join(dir, 'alpaca'), dir, first, `${first}.bin`]) {
      expect(await findTokenFiles(path)).toEqual(wanted);
    }
  });

  it('keep data sets of one directory apart', async () => {
    await touch(...namesOf(describeOutputs('a', 'instruction')), 'a_text_document', 'b_c_document');
    expect(await findTokenFiles(join(dir, 'b_c_document'))).toMatchObject({
      kind: 'pretrain',
      files: [{ field: 'c' }],
    });
    expect(await findTokenFiles(join(dir, 'a'))).toMatchObject({ kind: 'instruction' });
    await expect(findTokenFiles(dir)).rejects.toMatchObject({
      code: 'DATA_TOKEN_FILES_AMBIGUOUS',
      message: expect.stringContaining('could mean a_text_document, b_c_document, a'),
    });
    await touch('b_d_document');
    await expect(findTokenFiles(join(dir, 'b'))).rejects.toMatchObject({
      code: 'DATA_TOKEN_FILES_AMBIGUOUS',
    });
  });

  it('may be anything for raw text', async () => {
    await touch('corpus');
    expect(await findTokenFiles(join(dir, 'corpus'))).toMatchObject({
      kind: 'pretrain',
      files: [{ field: 'text', prefix: join(dir, 'corpus') }],
    });
  });

  it('are told when a prefix is wrong or a field is missing', async () => {
    await touch('x_packed_input_ids_document');
    await expect(findTokenFiles(join(dir, 'y'))).rejects.toMatchObject({
      code: 'DATA_TOKEN_FILES_NOT_FOUND',
      hint: expect.stringContaining('x_packed_input_ids_document'),
    });
    await expect(findTokenFiles(join(dir, 'no', 'y'))).rejects.toMatchObject({
      code: 'DATA_TOKEN_FILES_NOT_FOUND',
    });
    await expect(findTokenFiles(join(dir, 'x'))).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining('but not labels'),
    });
  });
});
