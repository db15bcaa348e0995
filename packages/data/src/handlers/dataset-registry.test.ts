import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DatasetTrait, type ResolveOptions, resolveDatasets } from './dataset-registry.js';
import { DEFAULT_TAGS } from './dataset-spec.js';
import { readDocuments } from './read-dataset.js';
import { DEFAULT_RECORD_COLUMNS } from './record-columns.js';

const fixtures = fileURLToPath(new URL('../../test/fixtures/registry/', import.meta.url));
const ALL: readonly DatasetTrait[] = ['ranking', 'kto', 'media'];

type Attributes = { readonly [key: string]: string | number | boolean | null };
const golden = JSON.parse(readFileSync(join(fixtures, 'attributes.json'), 'utf8')) as {
  attributes: { readonly [name: string]: Attributes };
};

/** A folder with files by their paths; objects are written as JSON. */
function folderOf(files: { readonly [path: string]: unknown }): string {
  const dir = mkdtempSync(join(tmpdir(), 'registry-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return dir;
}

async function resolveOne(entry: unknown, options: Partial<ResolveOptions> = {}) {
  const baseDir = folderOf({ 'dataset_info.json': { set: entry } });
  const [spec] = await resolveDatasets(['set'], { baseDir, accepts: ALL, ...options });
  return spec!;
}

describe('entries of dataset_info.json', () => {
  const local = Object.keys(golden.attributes).filter(
    (name) => golden.attributes[name]!['load_from'] === 'file',
  );

  it.each(local)('mean what they mean to LLaMA-Factory: %s', async (name) => {
    const attributes = golden.attributes[name]!;
    const [spec] = await resolveDatasets([name], { baseDir: fixtures, accepts: ALL });
    expect(spec).toMatchObject({
      name,
      path: join(fixtures, attributes['dataset_name'] as string),
      format: attributes['formatting'],
      ranking: attributes['ranking'],
      split: attributes['split'],
      numSamples: attributes['num_samples'],
      kto: attributes['kto_tag'] !== null,
    });
    for (const [column, standard] of Object.entries(DEFAULT_RECORD_COLUMNS)) {
      const ours = { ...DEFAULT_RECORD_COLUMNS, ...spec!.columns }[
        column as keyof typeof DEFAULT_RECORD_COLUMNS
      ];
      // Where an entry names columns, those that every record of its form needs keep their usual names here.
      const theirs = attributes[column] ?? (isNeeded(column) ? standard : '');
      expect([column, ours]).toEqual([column, theirs]);
    }
    for (const [tag, standard] of Object.entries(DEFAULT_TAGS)) {
      const ours = { ...DEFAULT_TAGS, ...spec!.tags }[tag as keyof typeof DEFAULT_TAGS];
      expect([tag, ours]).toEqual([tag, attributes[tag] ?? standard]);
    }
  });

  const isNeeded = (column: string) => ['prompt', 'response', 'messages'].includes(column);

  it('read remote sources from a copy beside the registry', async () => {
    const info = readFileSync(join(fixtures, 'dataset_info.json'), 'utf8');
    const baseDir = folderOf({
      'dataset_info.json': info,
      'hub-set/v1/en/validation.jsonl': '{}',
      'scripted/load.py': '',
      'scripted/rows.json': '[]',
      'cloud.json': '[]',
    });
    const specs = await resolveDatasets(['hub', 'script', 'cloud'], { baseDir });
    expect(specs.map(({ path }) => path)).toEqual([
      join(baseDir, 'hub-set/v1/en'),
      join(baseDir, 'scripted'),
      join(baseDir, 'cloud.json'),
    ]);
    expect(specs[0]).toMatchObject({ name: 'hub', split: 'validation' });
  });

  it('do not run a loading script that has no data beside it', async () => {
    const baseDir = folderOf({
      'dataset_info.json': { set: { script_url: 'scripted' } },
      'scripted/scripted.py': 'print()',
    });
    await expect(resolveDatasets(['set'], { baseDir })).rejects.toMatchObject({
      code: 'DATA_BAD_REGISTRY',
      message: expect.stringContaining('loading script, which is not run'),
    });
  });

  it.each<[unknown, { message: string; path: string; hint?: string }]>([
    [
      { file_name: 'a.json', colums: {} },
      { message: "unknown key 'colums'", path: 'set.colums', hint: 'Did you mean columns' },
    ],
    [
      { file_name: 'a.json', columns: { promt: 'x' } },
      { message: "unknown key 'promt'", path: 'set.columns.promt', hint: 'Did you mean prompt' },
    ],
    [
      { file_name: 'a.json', tags: { role: 'x' } },
      { message: "unknown key 'role'", path: 'set.tags.role', hint: 'role_tag' },
    ],
    [
      { file_name: 'a.json', columns: { prompt: 3 } },
      { message: 'prompt is 3; expected the text of a name', path: 'set.columns.prompt' },
    ],
    [
      { file_name: 'a.json', tags: [] },
      { message: 'tags is []; expected an object of tags', path: 'set.tags' },
    ],
    [
      { file_name: 'a.json', formatting: 'share_gpt' },
      {
        message: "formatting is 'share_gpt'",
        path: 'set.formatting',
        hint: 'Did you mean sharegpt',
      },
    ],
    [
      { file_name: 'a.json', ranking: 'yes' },
      { message: 'ranking is "yes"; expected true or false', path: 'set.ranking' },
    ],
    [
      { file_name: 'a.json', ranking: true, columns: { chosen: 'c' } },
      { message: 'chosen and rejected are not named', path: 'set.columns' },
    ],
    [
      { file_name: 'a.json', num_samples: 1.5 },
      { message: 'num_samples is 1.5; expected a whole number > 0', path: 'set.num_samples' },
    ],
    [
      { file_name: 'a.json', split: 'train[10' },
      { message: "split 'train[10'", path: 'set.split' },
    ],
    [{ file_name: 7 }, { message: 'file_name is 7; expected text', path: 'set.file_name' }],
    [
      { hf_hub_url: 'a/b' },
      { message: 'remote source a/b; nothing is downloaded', path: 'set.hf_hub_url', hint: 'b' },
    ],
    [
      { cloud_file_name: 's3://b/f.json' },
      { message: 'remote source s3://b/f.json', path: 'set.cloud_file_name' },
    ],
    [{}, { message: 'file_name is missing', path: 'set' }],
    [[], { message: 'not an object', path: 'set' }],
  ])('tell a slip by its place: %j', async (entry, { message, path, hint }) => {
    await expect(resolveOne(entry)).rejects.toMatchObject({
      code: 'DATA_BAD_REGISTRY',
      message: expect.stringMatching(new RegExp(`dataset_info\\.json: ${path}: `)),
      details: { path },
    });
    await expect(resolveOne(entry)).rejects.toThrow(message);
    if (hint === undefined) return;
    await expect(resolveOne(entry)).rejects.toMatchObject({ hint: expect.stringContaining(hint) });
  });

  it.each<[object, string]>([
    [{ ranking: true, columns: { chosen: 'c', rejected: 'r' } }, 'preference pairs'],
    [{ columns: { images: 'pics' } }, "column 'pics' holds media"],
    [{ columns: { kto_tag: 'ok' } }, "column 'ok' is for KTO"],
  ])('are refused where the caller cannot use them: %j', async (entry, message) => {
    const whole = { file_name: 'a.json', ...entry };
    await expect(resolveOne(whole, { accepts: [] })).rejects.toThrow(message);
    expect((await resolveOne(whole)).path).toMatch(/a\.json$/);
  });

  it('keep num_samples and max_samples apart, and say the smaller where rows are not selected', async () => {
    const entry = { file_name: 'a.json', num_samples: 9 };
    expect(await resolveOne(entry, { maxSamples: 3 })).toMatchObject({
      numSamples: 9,
      maxSamples: 3,
      sampleLimit: 3,
    });
    expect(await resolveOne(entry)).toMatchObject({ maxSamples: null, sampleLimit: 9 });
  });

  it('are read or refused in words, whatever they hold', async () => {
    const known = fc.constantFrom(
      'file_name',
      'hf_hub_url',
      'script_url',
      'formatting',
      'ranking',
      'subset',
      'split',
      'folder',
      'num_samples',
      'columns',
      'tags',
      '__proto__',
    );
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(fc.constantFrom('prompt', 'chosen', 'rejected', 'role_tag'), fc.string()),
      fc.constantFrom<unknown>('alpaca', 'train[:5]', true, 3, '../x'),
    );
    const baseDir = folderOf({});
    await fc.assert(
      fc.asyncProperty(fc.dictionary(known, value), async (entry) => {
        writeFileSync(join(baseDir, 'dataset_info.json'), JSON.stringify({ set: entry }));
        try {
          const [spec] = await resolveDatasets(['set'], { baseDir, accepts: ALL });
          expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
        } catch (error) {
          expect(error).toBeInstanceOf(TuneyardError);
          expect(error).toMatchObject({ code: 'DATA_BAD_REGISTRY' });
        }
      }),
    );
  });

  it('point to the line of a syntax error', async () => {
    const baseDir = folderOf({
      'dataset_info.json': '{\n  "set": {"file_name": "a"\n  "x": 1}\n}',
    });
    await expect(resolveDatasets(['set'], { baseDir })).rejects.toThrow(/line 3/);
  });
});

describe('names of data sets', () => {
  it.each([
    'rows.json',
    'rows.jsonl',
    'rows.ndjson',
    'rows.csv',
    'rows.tsv',
    'rows.txt',
    'rows.parquet',
    'rows.arrow',
    'rows.jsonl.gz',
    'rows.csv.zst',
  ])('are paths when they end like data files: %s', async (name) => {
    const [spec] = await resolveDatasets([`in/${name}`], { baseDir: '/base', format: 'text' });
    expect(spec).toMatchObject({ name: 'rows', path: `/base/in/${name}`, format: 'text' });
  });

  it('may be globs and folders, and registered names come before folders', async () => {
    const baseDir = folderOf({
      'dataset_info.json': { both: { file_name: 'both.jsonl' } },
      'both/x.jsonl': '',
      'only/x.jsonl': '',
    });
    const specs = await resolveDatasets(['both', 'only', 'only/*.jsonl'], { baseDir });
    expect(specs.map(({ name, path }) => [name, path])).toEqual([
      ['both', join(baseDir, 'both.jsonl')],
      ['only', join(baseDir, 'only')],
      ['*', join(baseDir, 'only/*.jsonl')],
    ]);
  });

  it('read a registered folder through the readers', async () => {
    const baseDir = folderOf({
      'dataset_info.json': { web: { file_name: 'web', columns: { prompt: 'body' } } },
      'web/a.jsonl': '{"body":"one"}\n',
    });
    const [spec] = await resolveDatasets(['web'], { baseDir });
    expect(spec).toMatchObject({
      path: join(baseDir, 'web'),
      columns: { prompt: 'body', query: '' },
    });
    const file = { ...spec!, path: join(baseDir, 'web/a.jsonl') };
    const documents = [];
    for await (const item of readDocuments(file)) documents.push(item);
    expect(documents).toMatchObject([{ kind: 'document', text: 'one' }]);
  });

  it('stay apart in reports when files of different folders are called the same', async () => {
    const names = ['a/rows.jsonl', 'b/rows.jsonl', 'c/other.jsonl', 'c/other.jsonl'];
    const specs = await resolveDatasets(names, { baseDir: '/base' });
    expect(specs.map(({ name }) => name)).toEqual([
      'a/rows.jsonl',
      'b/rows.jsonl',
      'other',
      'other',
    ]);
  });

  it('are suggested when they are not known', async () => {
    const baseDir = folderOf({ 'dataset_info.json': { identity: { file_name: 'i.json' } } });
    await expect(resolveDatasets(['identiti'], { baseDir })).rejects.toMatchObject({
      code: 'DATA_NOT_REGISTERED',
      hint: 'Did you mean identity?',
    });
    await expect(resolveDatasets(['x'], { baseDir: '/none' })).rejects.toMatchObject({
      code: 'DATA_FILE_NOT_FOUND',
    });
  });

  it.each(['ONLINE', 'REMOTE:someone/sets'])(
    'are not looked up in a hub: %s',
    async (datasetDir) => {
      const resolved = resolveDatasets(['x'], { baseDir: '/base', datasetDir });
      await expect(resolved).rejects.toMatchObject({
        code: 'DATA_BAD_OPTION',
        message: expect.stringContaining('only local ones are read'),
      });
    },
  );
});
