/** What names of files in data folders mean: metadata, caches, splits. */
import { basename } from 'node:path';

const METADATA_NAMES: ReadonlySet<string> = new Set([
  'dataset_info.json',
  'dataset_infos.json',
  'dataset_dict.json',
  'state.json',
]);

/** Whether a file describes or caches data rather than being data. */
export function isMetadataName(path: string): boolean {
  const name = basename(path);
  const isHidden = name.startsWith('.') || name.startsWith('_');
  return isHidden || METADATA_NAMES.has(name) || /^(cache-[0-9a-f]+|tmp.*)\.arrow$/.test(name);
}

const SPLIT_BY_WORD: ReadonlyMap<string, string> = new Map([
  ['train', 'train'],
  ['training', 'train'],
  ['validation', 'validation'],
  ['valid', 'validation'],
  ['val', 'validation'],
  ['dev', 'validation'],
  ['test', 'test'],
  ['testing', 'test'],
  ['eval', 'test'],
  ['evaluation', 'test'],
]);

/** The split that a word names (`dev` is `validation`); a word of no known split names itself. */
export function splitOfWord(word: string): string {
  return SPLIT_BY_WORD.get(word.toLowerCase()) ?? word;
}

/** The split in a sharded name, `train-00000-of-00002.parquet` or `json-train-00000-of-00002.arrow`. */
export function splitOfShard(path: string): string | undefined {
  const stem = /^(.+)-\d+-of-\d+\./.exec(basename(path))?.[1];
  return stem === undefined ? undefined : (splitInName(stem) ?? stem);
}

/** The split whose word stands last in a name between separators; undefined when none does. */
export function splitInName(path: string): string | undefined {
  const words = basename(path)
    .toLowerCase()
    .split(/[^a-z]+/);
  const word = words.findLast((one) => SPLIT_BY_WORD.has(one));
  return word === undefined ? undefined : SPLIT_BY_WORD.get(word);
}
