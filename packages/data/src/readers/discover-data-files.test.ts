import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { type DiscoverOptions, discoverDataFiles } from './discover-data-files.js';

let baseDir = '';
beforeEach(async () => {
  baseDir = await mkdtemp(join(tmpdir(), 'tuneyard-discover-'));
});

/** Writes files of one JSON line each; names that end with `.gz` are packed. */
async function make(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(baseDir, name);
    await mkdir(dirname(path), { recursive: true });
    const text = name.includes('.arrow')
      ? 'ARROW1'
      : name.includes('.parquet')
        ? 'PAR1'
        : '{"a":1}\n';
    await writeFile(path, name.endsWith('.gz') ? gzipSync(text) : text);
  }
}

async function found(input: string | readonly string[], options: Partial<DiscoverOptions> = {}) {
  const files = await discoverDataFiles(input, { baseDir, ...options });
  return files.map((file) => relative(baseDir, file.path));
}

describe('the files of an input', () => {
  it('are told apart by name and first character', async () => {
    await make('a.jsonl', 'b.json.gz', 'c.txt');
    await writeFile(join(baseDir, 'd.json'), '\ufeff \n[1]');
    await writeFile(join(baseDir, 'E.TSV'), 'a\tb\n1\t2\n');
    const files = await discoverDataFiles(['a.jsonl', 'b.json.gz', 'c.txt', 'd.json', 'E.TSV'], {
      baseDir,
    });
    expect(files.map((file) => [file.layout, file.compression])).toEqual([
      ['json-lines', 'none'],
      ['json-lines', 'gzip'],
      ['text-lines', 'none'],
      ['json-array', 'none'],
      ['tsv', 'none'],
    ]);
    expect(files[0]?.bytes).toBe(8);
  });

  it('of a list keep its order', async () => {
    await make('a.jsonl', 'b.jsonl');
    expect(await found(['b.jsonl', 'a.jsonl', 'b.jsonl'])).toEqual([
      'b.jsonl',
      'a.jsonl',
      'b.jsonl',
    ]);
  });

  it('of a glob are sorted, known and no metadata', async () => {
    await make(
      'd/b.jsonl',
      'd/a.jsonl',
      'd/dataset_info.json',
      'd/readme.md',
      'd/in/c.csv',
      'd/.x.json',
    );
    expect(await found('d/**/*')).toEqual(['d/a.jsonl', 'd/b.jsonl', 'd/in/c.csv']);
    expect(await found('d/{b,a}.jsonl')).toEqual(['d/a.jsonl', 'd/b.jsonl']);
  });

  it('may have a name that looks like a pattern', async () => {
    await make('part[1].jsonl');
    expect(await found('part[1].jsonl')).toEqual(['part[1].jsonl']);
  });
});

describe('the files of a folder', () => {
  it('are those of the most frequent known extension, sorted', async () => {
    await make(
      'd/2.jsonl',
      'd/10.jsonl',
      'd/x.csv',
      'd/a.md',
      'd/b.md',
      'd/c.md',
      'd/dataset_info.json',
    );
    expect(await found('d')).toEqual(['d/10.jsonl', 'd/2.jsonl']);
  });

  it('of equally frequent extensions are those of the one named first', async () => {
    await make('d/a.csv', 'd/b.parquet', 'd/c.jsonl.gz', 'd/d.txt');
    expect(await found('d')).toEqual(['d/c.jsonl.gz']);
  });

  it('are found through links, as the Hugging Face cache stores them', async () => {
    await make('blobs/abc.parquet');
    await mkdir(join(baseDir, 'snapshot/data'), { recursive: true });
    const link = join(baseDir, 'snapshot/data/train-00000-of-00001.parquet');
    await symlink('../../blobs/abc.parquet', link);
    expect(await found('snapshot')).toEqual(['snapshot/data/train-00000-of-00001.parquet']);
    expect(await found('snapshot/**/*.parquet')).toHaveLength(1);
  });
});

describe('a split', () => {
  it('of data/ is told from file names; train unless another is asked for', async () => {
    await make(
      'd/data/train-00001-of-00002.parquet',
      'd/data/train-00000-of-00002.parquet',
      'd/data/test-00000-of-00001.parquet',
      'd/data/dev.parquet',
      'd/README.md',
    );
    expect(await found('d')).toEqual([
      'd/data/train-00000-of-00002.parquet',
      'd/data/train-00001-of-00002.parquet',
    ]);
    expect(await found('d', { split: 'validation' })).toEqual(['d/data/dev.parquet']);
    await expect(found('d', { split: 'extra' })).rejects.toMatchObject({
      code: 'DATA_NO_FILES',
      hint: expect.stringContaining('train'),
    });
  });

  it('of shards beside each other is told from their names, other shards are the whole', async () => {
    await make('a/train-00000-of-00001.jsonl', 'a/test-00000-of-00001.jsonl');
    expect(await found('a')).toEqual(['a/train-00000-of-00001.jsonl']);
    await make('b/part-00000-of-00002.jsonl', 'b/part-00001-of-00002.jsonl');
    expect(await found('b')).toHaveLength(2);
  });

  it('of files that have other names is not told apart', async () => {
    await make('d/train.jsonl', 'd/test.jsonl');
    expect(await found('d')).toEqual(['d/test.jsonl', 'd/train.jsonl']);
  });

  it('may be a folder', async () => {
    await make('d/train/b.csv', 'd/train/a.csv', 'd/test/c.csv');
    expect(await found('d')).toEqual(['d/train/a.csv', 'd/train/b.csv']);
    expect(await found('d', { split: 'test' })).toEqual(['d/test/c.csv']);
  });

  it('of the cache of datasets is told from its names, its results are left out', async () => {
    await make(
      'd/json-train.arrow',
      'd/json-test.arrow',
      'd/cache-0a1b2c.arrow',
      'd/dataset_info.json',
    );
    expect(await found('d')).toEqual(['d/json-train.arrow']);
  });

  it('saved by datasets is read in the order of its state', async () => {
    await make('d/data-00000-of-00002.arrow', 'd/data-00001-of-00002.arrow', 'd/dataset_info.json');
    const names = ['data-00001-of-00002.arrow', 'data-00000-of-00002.arrow'];
    const state = { _data_files: names.map((filename) => ({ filename })) };
    await writeFile(join(baseDir, 'd/state.json'), JSON.stringify(state));
    expect(await found('d')).toEqual(names.map((name) => `d/${name}`));
    state._data_files.push({ filename: 'gone.arrow' });
    await writeFile(join(baseDir, 'd/state.json'), JSON.stringify(state));
    await expect(found('d')).rejects.toMatchObject({ code: 'DATA_NO_FILES' });
  });
});
