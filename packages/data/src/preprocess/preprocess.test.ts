import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { createRng } from '@tuneyard/core';
import { IndexedDatasetReader } from '@tuneyard/formats';
import { beforeAll, describe, expect, it } from 'vitest';
import { isRejection } from '../handlers/conversation.js';
import { describeDataFile } from '../handlers/dataset-spec.js';
import { type HandlerSettings, openRowHandler } from '../handlers/open-row-handler.js';
import { planMixing } from '../mixing/plan-mixing.js';
import { planSplit } from '../mixing/plan-split.js';
import { planPacks } from '../packing/plan-packs.js';
import { openEncoding } from './encode-settings.js';
import { prepareFiles } from './prepared-files.js';
import { type PreprocessOptions, preprocess } from './preprocess.js';

const tokenizer = fileURLToPath(
  new URL('../../test/fixtures/tokenizer/stories260k', import.meta.url),
);
const template = { name: 'vicuna' };
const alpaca: HandlerSettings = {
  handler: 'alpaca',
  cutoffLength: 200,
  overlength: 'truncate',
};
const text: HandlerSettings = {
  handler: 'GeneralPretrainHandler',
  cutoffLength: 200,
  overlength: 'truncate',
  appendEod: true,
};

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-preprocess-'));
});

/** Rows of words, with a bad one now and then. */
function makeRows(count: number, seed: number): string[] {
  const rng = createRng(seed);
  const words = 'the a little dog cat ran to big red house and said hello 你好 🙂'.split(' ');
  const sentence = (): string =>
    Array.from({ length: 1 + rng.nextInt(30) }, () => words[rng.nextInt(words.length)]).join(' ');
  return Array.from({ length: count }, (_, i) => {
    if (i % 17 === 5) return '{"instruction": "cut off';
    if (i % 23 === 7) return JSON.stringify({ instruction: sentence(), output: '' });
    return JSON.stringify({ instruction: sentence(), output: sentence(), text: sentence() });
  });
}

async function writeLines(name: string, rows: readonly string[]): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, `${rows.join('\n')}\n`);
  return path;
}

let jobs = 0;

function optionsFor(
  paths: readonly string[],
  handler: HandlerSettings,
  changes: Partial<PreprocessOptions> = {},
): PreprocessOptions {
  const job = jobs++;
  return {
    tokenizer,
    template: handler === text ? null : template,
    datasets: paths.map((path) => ({ spec: describeDataFile(path), handler })),
    documentLength: null,
    cutoffLength: 200,
    dropDuplicates: false,
    mix: null,
    valSize: 0,
    seed: 7,
    packing: null,
    train: { prefix: join(dir, `out-${job}`) },
    validation: null,
    dtype: 'auto',
    workDir: join(dir, `work-${job}`),
    workers: 0,
    ...changes,
  };
}

async function readField(prefix: string, field: string): Promise<number[][]> {
  const reader = await IndexedDatasetReader.open(`${prefix}_${field}_document`);
  const sequences: number[][] = [];
  for (let i = 0; i < reader.sequenceCount; i++) sequences.push([...(await reader.sequence(i))]);
  await reader.close();
  return sequences;
}

/** The same by a loop over the lines of a file: samples by row, empty where a row gives none. */
async function naiveRows(path: string, handler: HandlerSettings): Promise<number[][][][]> {
  const encoding = await openEncoding({ tokenizer, template: handler === text ? null : template });
  const opened = openRowHandler(handler, encoding);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((line, i) => {
    try {
      const handled = opened.handle(JSON.parse(line), { source: 'x', row: i + 1 });
      if (isRejection(handled)) return [];
      return handled.map(({ fields }) => fields.map((tokens) => [...tokens]));
    } catch {
      return [];
    }
  });
}

describe('preprocess', () => {
  it('writes the samples of a loop over the lines, for any size of unit', async () => {
    const path = await writeLines('a.jsonl', makeRows(120, 1));
    const expected = (await naiveRows(path, alpaca)).flat();
    for (const unitBytes of [64, 700, 1 << 20]) {
      const options = optionsFor([path], alpaca, { unitBytes });
      const { report, train } = await preprocess(options);
      const ids = await readField(options.train!.prefix, 'packed_input_ids');
      const labels = await readField(options.train!.prefix, 'packed_labels');
      const masks = await readField(options.train!.prefix, 'packed_attention_mask');
      expect(ids).toEqual(expected.map(([first]) => first));
      expect(labels).toEqual(expected.map(([, second]) => second));
      expect(masks).toEqual(expected.map(([first]) => first!.map(() => 1)));
      expect(train!.samples).toBe(expected.length);
      expect(report.rows).toBe(120);
      expect(report.dropped.malformed_json?.rows.map(({ row }) => row)).toEqual([
        6, 23, 40, 57, 74, 91, 108,
      ]);
    }
  });

  it('reads gzip and JSON arrays to the same bytes as lines', async () => {
    const rows = makeRows(60, 2).filter((row) => row.endsWith('}'));
    const lines = await writeLines('same.jsonl', rows);
    const packed = join(dir, 'same.jsonl.gz');
    await writeFile(packed, gzipSync(`${rows.join('\n')}\n`));
    const array = join(dir, 'same.json');
    await writeFile(array, `[${rows.join(',\n')}]`);
    const outputs = [];
    for (const path of [lines, packed, array]) {
      const options = optionsFor([path], text, { unitBytes: 512 });
      await preprocess(options);
      outputs.push(await readFile(`${options.train!.prefix}_text_document.bin`));
    }
    expect(outputs[1]).toEqual(outputs[0]);
    expect(outputs[2]).toEqual(outputs[0]);
  });

  it('writes raw text as one document a row, and cuts it where that is asked for', async () => {
    const path = await writeLines('text.jsonl', makeRows(40, 3));
    const documents = (await naiveRows(path, text)).flat().map(([ids]) => ids!);
    const whole = optionsFor([path], text);
    await preprocess(whole);
    expect(await readField(whole.train!.prefix, 'text')).toEqual(documents);
    const cut = optionsFor([path], text, { documentLength: 16 });
    const { report } = await preprocess(cut);
    const pieces = documents.flatMap((ids) => {
      const parts = [];
      for (let at = 0; at < ids.length - 1; at += 16) parts.push(ids.slice(at, at + 16));
      return parts;
    });
    expect(await readField(cut.train!.prefix, 'text')).toEqual(pieces);
    expect(report.split.count).toBe(documents.filter((ids) => ids.length > 17).length);
  });

  it('mixes rows in the planned order', async () => {
    const paths = [
      await writeLines('m1.jsonl', makeRows(30, 4)),
      await writeLines('m2.jsonl', makeRows(50, 5)),
    ];
    const rows = [await naiveRows(paths[0]!, alpaca), await naiveRows(paths[1]!, alpaca)];
    for (const strategy of ['interleave_under', 'interleave_over'] as const) {
      const mix = { strategy, probabilities: [0.3, 0.7] };
      const options = optionsFor(paths, alpaca, { mix, unitBytes: 900 });
      await preprocess(options);
      const plan = planMixing({ counts: [30, 50], seed: 7, ...mix });
      const expected: number[][] = [];
      for (const { dataset, begin, end } of plan.runs()) {
        for (let row = begin; row < end; row++) {
          for (const fields of rows[dataset]![row]!) expected.push(fields[0]!);
        }
      }
      expect(await readField(options.train!.prefix, 'packed_input_ids')).toEqual(expected);
    }
  });

  it('leaves out rows that repeat earlier ones, in any data set', async () => {
    const rows = makeRows(40, 6);
    const paths = [
      await writeLines('d1.jsonl', [...rows, ...rows.slice(0, 4)]),
      await writeLines('d2.jsonl', [...rows.slice(10, 14), ...makeRows(10, 7)]),
    ];
    const options = optionsFor(paths, alpaca, { dropDuplicates: true, unitBytes: 600 });
    const { report } = await preprocess(options);
    const seen = new Set<string>();
    const expected: number[][] = [];
    let repeated = 0;
    for (const path of paths) {
      for (const samples of await naiveRows(path, alpaca)) {
        const key = JSON.stringify(samples);
        if (samples.length === 0) continue;
        if (seen.has(key)) repeated++;
        else expected.push(samples[0]![0]!);
        seen.add(key);
      }
    }
    expect(repeated).toBeGreaterThan(5);
    expect(report.dropped.duplicate?.count).toBe(repeated);
    expect(report.dropped.duplicate?.rows[0]).toMatchObject({ source: 'd1', row: 41 });
    expect(await readField(options.train!.prefix, 'packed_input_ids')).toEqual(expected);
  });

  it('holds samples out as planned, and says which rows they are', async () => {
    const path = await writeLines('v.jsonl', makeRows(50, 8));
    const samples = (await naiveRows(path, alpaca)).flat();
    const validation = { prefix: join(dir, 'held') };
    const options = optionsFor([path], alpaca, { valSize: 0.2, validation, unitBytes: 800 });
    const result = await preprocess(options);
    const held = new Set(planSplit({ count: samples.length, valSize: 0.2, seed: 7 }).validation);
    const ids = samples.map(([first]) => first!);
    expect(await readField(options.train!.prefix, 'packed_input_ids')).toEqual(
      ids.filter((_, i) => !held.has(i)),
    );
    expect(await readField(validation.prefix, 'packed_input_ids')).toEqual(
      ids.filter((_, i) => held.has(i)),
    );
    const rows = (await naiveRows(path, alpaca)).flatMap((s, i) => s.map(() => i + 1));
    expect([...result.validation!.rows]).toEqual(rows.filter((_, i) => held.has(i)));
  });

  it('packs what a plan over all lengths packs', async () => {
    const path = await writeLines('p.jsonl', makeRows(80, 9));
    const samples = (await naiveRows(path, { ...alpaca, cutoffLength: 63 })).flat();
    const packing = {
      capacity: 63,
      padTo: 64,
      padTokenId: 2,
      isNeat: true,
      strategy: 'greedy',
      overlength: 'error',
    } as const;
    const options = optionsFor(
      [path],
      { ...alpaca, cutoffLength: 63 },
      { packing, unitBytes: 500 },
    );
    const { report, train } = await preprocess(options);
    const packs = planPacks(
      samples.map(([ids]) => ids!.length),
      63,
    );
    const pad = (values: number[], filler: number) => [
      ...values,
      ...new Array<number>(64 - values.length).fill(filler),
    ];
    const rows = packs.map((pack) => pack.map((i) => samples[i]!));
    expect(await readField(options.train!.prefix, 'packed_input_ids')).toEqual(
      rows.map((row) =>
        pad(
          row.flatMap(([ids]) => ids!),
          2,
        ),
      ),
    );
    expect(await readField(options.train!.prefix, 'packed_labels')).toEqual(
      rows.map((row) =>
        pad(
          row.flatMap(([, labels]) => labels!),
          -100,
        ),
      ),
    );
    expect(await readField(options.train!.prefix, 'packed_attention_mask')).toEqual(
      rows.map((row) =>
        pad(
          row.flatMap(([ids], i) => ids!.map(() => i + 1)),
          0,
        ),
      ),
    );
    expect(train!.samples).toBe(packs.length);
    expect(report.packing?.rows).toBe(packs.length);
  });

  it('goes on when every part was there', async () => {
    const path = await writeLines('all.jsonl', makeRows(50, 10));
    const stopping = new AbortController();
    const options = optionsFor([path], alpaca, {
      unitBytes: 400,
      signal: stopping.signal,
      onProgress: ({ phase }) => {
        if (phase === 'write') stopping.abort();
      },
    });
    await expect(preprocess(options)).rejects.toMatchObject({ code: 'CANCELLED' });
    const { signal: _s, onProgress: _p, ...again } = options;
    const phases = new Set<string>();
    const result = await preprocess({ ...again, onProgress: ({ phase }) => phases.add(phase) });
    expect(result.reusedParts).toBeGreaterThan(5);
    expect([...phases]).toEqual(['write']);
  });

  it('goes on from the parts of an interrupted run, with the same bytes', async () => {
    const path = await writeLines('r.jsonl', makeRows(200, 10));
    const whole = optionsFor([path], alpaca, { unitBytes: 400 });
    await preprocess(whole);
    const stopping = new AbortController();
    const options = optionsFor([path], alpaca, {
      unitBytes: 400,
      signal: stopping.signal,
      onProgress: (progress) => {
        if (progress.phase === 'encode' && progress.rows > 100) stopping.abort();
      },
    });
    await expect(preprocess(options)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await readdir(dir)).filter((name) => name.startsWith(`out-${jobs - 1}`))).toEqual([]);
    const { signal: _s, onProgress: _p, ...again } = options;
    const { reusedParts } = await preprocess(again);
    expect(reusedParts).toBeGreaterThan(5);
    for (const field of ['input_ids', 'labels', 'attention_mask']) {
      for (const end of ['bin', 'idx']) {
        const name = `_packed_${field}_document.${end}`;
        expect(await readFile(options.train!.prefix + name)).toEqual(
          await readFile(whole.train!.prefix + name),
        );
      }
    }
    await expect(stat(options.workDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('names the row of the file when a unit in the middle fails', async () => {
    const rows = makeRows(90, 11);
    rows[70] = JSON.stringify({ instruction: 'dog '.repeat(3000), output: 'cat' });
    const path = await writeLines('long.jsonl', rows);
    const handler: HandlerSettings = { ...alpaca, cutoffLength: 1000, overlength: 'error' };
    const options = optionsFor([path], handler, { unitBytes: 500 });
    await expect(preprocess(options)).rejects.toMatchObject({
      code: 'DATA_ROW_TOO_LONG',
      message: expect.stringContaining('row 71'),
    });
  });

  it('reads as many rows as a limit says, over units', async () => {
    const path = await writeLines('limit.jsonl', makeRows(90, 12));
    const options = optionsFor([path], alpaca, { unitBytes: 300 });
    const spec = { ...describeDataFile(path), maxSamples: 33 };
    const { report } = await preprocess({ ...options, datasets: [{ spec, handler: alpaca }] });
    expect(report.rows).toBe(33);
    const expected = (await naiveRows(path, alpaca)).slice(0, 33).flat();
    expect(await readField(options.train!.prefix, 'packed_input_ids')).toEqual(
      expected.map(([ids]) => ids),
    );
  });

  it('says when no row gives a sample, and writes nothing', async () => {
    const path = await writeLines('none.jsonl', ['{"instruction":"a","output":""}', '[1]', '{"a"']);
    const options = optionsFor([path], alpaca);
    await expect(preprocess(options)).rejects.toMatchObject({ code: 'DATA_NOTHING_KEPT' });
    expect((await readdir(dir)).filter((name) => name.startsWith(`out-${jobs - 1}`))).toEqual([]);
  });
});

describe('preprocess with media', () => {
  const picture = fileURLToPath(
    new URL('../../test/fixtures/media/files/baseline.jpg', import.meta.url),
  );
  const row = (content: string, images: string[]) =>
    JSON.stringify({
      messages: [
        { role: 'user', content },
        { role: 'assistant', content: 'a dog' },
      ],
      images,
    });
  const openai: HandlerSettings = { ...alpaca, handler: 'openai' };
  const media = { mediaDirs: [dirname(picture)], plugin: { plugin: 'llava' as const } };

  it('writes the places of a picture, and says which rows show which file', async () => {
    const path = await writeLines('media.jsonl', [
      row('<image>what is it', ['baseline.jpg']),
      row('<image>what is it', ['none.jpg']),
      row('what is it', ['baseline.jpg']),
      row('hello', []),
      row('look <image>', ['baseline.jpg']),
    ]);
    const handler = { ...openai, cutoffLength: 20_000 };
    const options = optionsFor([path], handler, { media, unitBytes: 150 });
    const result = await preprocess(options);
    expect(result.report.dropped.media_not_found?.rows[0]).toMatchObject({ row: 2 });
    expect(result.report.dropped.media_count_mismatch?.rows[0]).toMatchObject({ row: 3 });
    expect(result.media).toHaveLength(1);
    expect(result.media[0]).toMatchObject({
      hash: createHash('sha256')
        .update(await readFile(picture))
        .digest('hex'),
      uses: [
        { source: 'media', row: 1 },
        { source: 'media', row: 5 },
      ],
    });
    // LLaVA 1.5 sees 24 × 24 patches in every picture; the rest of the text is the same without them.
    const written = await readField(options.train!.prefix, 'packed_input_ids');
    const plain = optionsFor(
      [await writeLines('plain.jsonl', [row(`${'<image>'.repeat(576)}what is it`, [])])],
      handler,
    );
    await preprocess(plain);
    expect(written[0]).toEqual((await readField(plain.train!.prefix, 'packed_input_ids'))[0]);
  });

  it('refuses records with media where nothing says how they are taken, and never cuts them', async () => {
    const path = await writeLines('refused.jsonl', [
      row('<image>what', ['baseline.jpg']),
      row('hello', []),
    ]);
    const none = await preprocess(optionsFor([path], openai));
    expect(none.report.dropped.unsupported_content?.count).toBe(1);
    const short = await preprocess(optionsFor([path], openai, { media }));
    expect(short.report.dropped.over_length?.rows[0]).toMatchObject({
      row: 1,
      reason: 'a row with media cannot be cut',
    });
  });
});

describe('prepared files', () => {
  const prepare = (path: string, prefix: string, changes: Partial<PreprocessOptions> = {}) => {
    const { workDir: _w, ...options } = optionsFor([path], alpaca, changes);
    return prepareFiles({ ...options, train: { prefix }, overwrite: false });
  };

  it('are made once, and not replaced by those of another job', async () => {
    const path = await writeLines('once.jsonl', makeRows(20, 13));
    const prefix = join(dir, 'deep', 'er', 'once');
    const first = await prepare(path, prefix);
    expect(first.status).toBe('written');
    const again = await prepare(path, prefix, { workers: 0, unitBytes: 128 });
    expect(again).toMatchObject({ status: 'unchanged', record: first.record });
    await expect(prepare(path, prefix, { cutoffLength: 100 })).rejects.toMatchObject({
      code: 'DATA_OUTPUT_EXISTS',
    });
    await writeFile(path, `${makeRows(21, 13).join('\n')}\n`);
    await expect(prepare(path, prefix)).rejects.toMatchObject({ code: 'DATA_OUTPUT_EXISTS' });
  });

  it('are not made by two processes at once', async () => {
    const path = await writeLines('busy.jsonl', makeRows(20, 14));
    const prefix = join(dir, 'busy');
    await writeFile(join(dir, '.busy_preprocess.lock'), String(process.ppid));
    await expect(prepare(path, prefix)).rejects.toMatchObject({ code: 'DATA_OUTPUT_BUSY' });
    await writeFile(join(dir, '.busy_preprocess.lock'), '999999999');
    expect((await prepare(path, prefix)).status).toBe('written');
  });
});
