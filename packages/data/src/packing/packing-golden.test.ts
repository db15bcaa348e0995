/** Rows as LLaMA-Factory and MindSpeed-LLM pack them, from fixtures that their code made. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { IndexedDatasetReader } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { shareLength } from '../encode/truncate.js';
import { DocumentBlocks } from './document-blocks.js';
import { packLayoutOf, packWindow, type SampleColumns } from './pack-window.js';
import { planPacks } from './plan-packs.js';
import { positionIds, segmentsOfMask } from './segments.js';

const folder = fileURLToPath(new URL('../../test/fixtures/packing/', import.meta.url));
const load = async <T>(name: string): Promise<T> =>
  JSON.parse(await readFile(folder + name, 'utf8')) as T;

interface Sample {
  readonly input_ids: number[];
  readonly labels: number[];
}
type Rows = Record<'input_ids' | 'attention_mask' | 'labels' | 'position_ids', number[][]>;

const rules = await load<{
  knapsacks: { lengths: number[]; capacity: number; packs: number[][] }[];
  infer_seqlen: [number, number, number, number, number][];
}>('rules.json');
const modellink =
  await load<
    Record<
      string,
      { samples: Sample[]; seq_length: number; pack: boolean; neat: boolean; pad: number }
    >
  >('modellink.json');
const factory = await load<{
  packed: { samples: Sample[]; cutoff_len: number; neat: boolean; pad: number; rows: Rows }[];
  blocks: { documents: string[]; block: number; bos: number | null; rows: number[][] }[];
}>('llama_factory.json');

const columnsOf = (samples: readonly Sample[]): SampleColumns => ({
  ids: Int32Array.from(samples.flatMap((sample) => sample.input_ids)),
  labels: Int32Array.from(samples.flatMap((sample) => sample.labels)),
  lengths: Int32Array.from(samples, (sample) => sample.input_ids.length),
});

function rowsOf(columns: SampleColumns, layout: Parameters<typeof packWindow>[1]) {
  const rows: Omit<Rows, 'position_ids'> = { input_ids: [], attention_mask: [], labels: [] };
  for (const piece of packWindow(columns, layout)) {
    for (let row = 0; row < piece.rows; row++) {
      const cut = (values: Int32Array) => [
        ...values.subarray(row * layout.padTo, (row + 1) * layout.padTo),
      ];
      rows.input_ids.push(cut(piece.inputIds));
      rows.attention_mask.push(cut(piece.attentionMask));
      rows.labels.push(cut(piece.labels));
    }
  }
  return rows;
}

describe('the rules of the original code', () => {
  it('choose the same lengths for every row', () => {
    for (const { lengths, capacity, packs } of rules.knapsacks) {
      const found = planPacks(lengths, capacity).map((pack) => pack.map((i) => lengths[i]));
      expect(found).toEqual(packs);
    }
  });

  it('share a length between question and answer in the same way', () => {
    for (const [source, target, cutoff, ...wanted] of rules.infer_seqlen) {
      const shared = shareLength({ source, target }, cutoff);
      expect([shared.source, shared.target]).toEqual(wanted);
    }
  });
});

describe('rows as MindSpeed-LLM writes them', () => {
  it.each(['pack', 'neat'])('are the same with --%s', async (name) => {
    const { samples, seq_length, neat, pad } = modellink[name]!;
    const layout = packLayoutOf('modellink', { length: seq_length, padTokenId: pad, isNeat: neat });
    const rows = rowsOf(columnsOf(samples), layout);
    for (const field of ['input_ids', 'attention_mask', 'labels'] as const) {
      const path = `${folder}${name}_packed_${field}_document`;
      await using reader = await IndexedDatasetReader.open(path);
      const wanted: number[][] = [];
      for await (const row of reader.sequences()) wanted.push([...row]);
      expect(rows[field]).toEqual(wanted);
    }
  });

  it('leave samples out that --pack cannot take, and cut them with --neat-pack', () => {
    const { samples, seq_length, pad } = modellink['pack']!;
    const long = samples.flatMap((s, i) => (s.input_ids.length >= seq_length ? [i] : []));
    expect(long.length).toBeGreaterThan(0);
    for (const isNeat of [false, true]) {
      const layout = packLayoutOf('modellink', { length: seq_length, padTokenId: pad, isNeat });
      const pieces = packWindow(columnsOf(samples), layout);
      let piece = pieces.next();
      while (piece.done !== true) piece = pieces.next();
      expect(piece.value).toEqual(
        isNeat ? { dropped: [], truncated: long } : { dropped: long, truncated: [] },
      );
    }
  });
});

describe('rows as LLaMA-Factory packs them', () => {
  it.each(factory.packed)(
    'are the same, neat: $neat',
    ({ samples, cutoff_len, neat, pad, rows }) => {
      const options = { length: cutoff_len, padTokenId: pad, isNeat: neat };
      const found = rowsOf(columnsOf(samples), packLayoutOf('llama-factory', options));
      const { position_ids: positions, ...fields } = rows;
      expect(found).toEqual(fields);
      if (!neat) return;
      const segments = found.attention_mask.map((mask) => segmentsOfMask(Int32Array.from(mask)));
      expect(segments.map((lengths) => [...positionIds(lengths ?? [], cutoff_len + 1)])).toEqual(
        positions,
      );
    },
  );

  it.each(factory.blocks)('of raw text are the same, block $block, first token $bos', (golden) => {
    const { documents, block, bos, rows } = golden;
    const blocks = new DocumentBlocks({ blockLength: block, bosTokenId: bos });
    const found: number[] = [];
    let tokens = 0;
    for (const text of documents) {
      const ids = Int32Array.from(`${text}$`, (letter) => letter.charCodeAt(0));
      tokens += ids.length;
      found.push(...blocks.push(ids));
    }
    expect(found).toEqual(rows.flat());
    expect(blocks.end()).toBe(tokens - found.length);
  });
});
