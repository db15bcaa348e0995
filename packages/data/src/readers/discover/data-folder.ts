/** Chooses the data files of a folder. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DATA_EXTENSIONS, kindOfName } from '../data-file.js';
import { cannotOpen, fileError } from '../file-errors.js';
import { isMetadataName, splitInName, splitOfShard, splitOfWord } from './folder-names.js';

/** What a folder holds, sorted by name. */
interface FolderListing {
  readonly path: string;
  readonly names: readonly string[];
  /** Paths of the data files. */
  readonly files: readonly string[];
  /** Names of the folders. */
  readonly folders: readonly string[];
}

/**
 * The data files of a folder, sorted.
 *
 * Throws: `DATA_NO_FILES` when there is none, or none of the split; `DATA_FILE_NOT_FOUND` for a link that leads
 * nowhere.
 */
export async function filesOfFolder(path: string, split: string): Promise<readonly string[]> {
  const listing = await listFolder(path);
  const wanted = splitOfWord(split);
  if (listing.names.includes('dataset_dict.json')) return filesOfSplitFolder(listing, wanted);
  if (listing.names.includes('state.json')) return filesOfSavedDataset(listing);
  if (listing.files.length > 0) {
    const isCache = listing.names.includes('dataset_info.json') && allArrow(listing.files);
    const splitOf = isCache ? splitInName : splitOfShard;
    return filesOfSplit(listing.path, mostFrequentKind(listing.files), wanted, splitOf);
  }
  if (listing.folders.includes('data')) {
    const data = await listFolder(join(path, 'data'));
    if (data.files.length > 0) {
      return filesOfSplit(data.path, mostFrequentKind(data.files), wanted, splitInName);
    }
  }
  return filesOfSplitFolder(listing, wanted);
}

async function listFolder(path: string): Promise<FolderListing> {
  const names = (await readdir(path).catch((error) => raiseCannotOpen(path, error))).sort();
  const files: string[] = [];
  const folders: string[] = [];
  for (const name of names) {
    if (name.startsWith('.')) continue;
    const inner = join(path, name);
    const isData = kindOfName(name) !== undefined && !isMetadataName(name);
    // Only what could be data must be reachable.
    const found = await stat(inner).catch((error) => {
      if (isData) raiseCannotOpen(inner, error);
    });
    if (found?.isDirectory() === true) folders.push(name);
    else if (isData) files.push(inner);
  }
  return { path, names, files, folders };
}

function raiseCannotOpen(path: string, error: unknown): never {
  throw cannotOpen(path, error);
}

function allArrow(files: readonly string[]): boolean {
  return files.every((file) => kindOfName(file)?.layout === 'arrow');
}

/** The files of the extension that most have; of equals, the one named first among the known extensions. */
function mostFrequentKind(files: readonly string[]): readonly string[] {
  const byExtension = new Map<string, string[]>();
  for (const file of files) {
    const extension = kindOfName(file)?.extension ?? '';
    const same = byExtension.get(extension);
    if (same === undefined) byExtension.set(extension, [file]);
    else same.push(file);
  }
  const rank = (extension: string): number =>
    DATA_EXTENSIONS.findIndex((known) => extension.startsWith(known)) * 100 + extension.length;
  const best = [...byExtension].sort(
    ([a, aFiles], [b, bFiles]) => bFiles.length - aFiles.length || rank(a) - rank(b),
  )[0];
  return best?.[1] ?? [];
}

/** Takes the files of one split when the names tell splits apart, else all. */
function filesOfSplit(
  path: string,
  files: readonly string[],
  wanted: string,
  splitOf: (file: string) => string | undefined,
): readonly string[] {
  const splits = files.map(splitOf);
  const found = [...new Set(splits)].filter((split) => split !== undefined);
  // A name that tells of no split, as `part-00000-of-00004`, is a shard of the whole.
  if (!found.some((split) => isKnown(split) || split === wanted)) return files;
  const chosen = files.filter((_, i) => splits[i] === wanted);
  if (chosen.length > 0) return chosen;
  throw noSuchSplit(path, wanted, found);
}

function isKnown(split: string): boolean {
  return split === 'train' || split === 'validation' || split === 'test';
}

/** Takes the folder named like the split. */
async function filesOfSplitFolder(
  listing: FolderListing,
  wanted: string,
): Promise<readonly string[]> {
  const name = listing.folders.find((folder) => splitOfWord(folder) === wanted);
  if (name !== undefined) {
    const inner = await listFolder(join(listing.path, name));
    if (inner.names.includes('state.json')) return filesOfSavedDataset(inner);
    if (inner.files.length > 0) return mostFrequentKind(inner.files);
  }
  const splits = listing.folders.filter((folder) => isKnown(splitOfWord(folder)));
  if (splits.length > 0) throw noSuchSplit(listing.path, wanted, splits);
  throw fileError(
    'DATA_NO_FILES',
    { file: listing.path },
    `the folder holds no data file of a known kind (${DATA_EXTENSIONS.join(', ')})`,
    {
      category: 'not_found',
      details: { folders: listing.folders.slice(0, 12) },
      ...(listing.folders.length === 0
        ? {}
        : { hint: `Name one of its folders: ${listing.folders.slice(0, 6).join(', ')}.` }),
    },
  );
}

/** The files of a folder that `save_to_disk` of Hugging Face datasets wrote, in the order it gives. */
async function filesOfSavedDataset(listing: FolderListing): Promise<readonly string[]> {
  const path = join(listing.path, 'state.json');
  const names = savedFileNames(await readFile(path, 'utf8'));
  const files = names.map((name) => join(listing.path, basename(name)));
  const missing = files.find((file) => !listing.files.includes(file));
  if (files.length > 0 && missing === undefined) return files;
  if (files.length === 0 && listing.files.length > 0) return mostFrequentKind(listing.files);
  throw fileError(
    'DATA_NO_FILES',
    { file: path },
    missing === undefined
      ? 'it names no data file'
      : `it names ${basename(missing)}, which is missing`,
    { category: 'not_found' },
  );
}

function savedFileNames(text: string): readonly string[] {
  try {
    const state: unknown = JSON.parse(text);
    const list = (state as { _data_files?: unknown } | null)?._data_files;
    if (!Array.isArray(list)) return [];
    return list
      .map((entry: unknown) => (entry as { filename?: unknown } | null)?.filename)
      .filter((name) => typeof name === 'string');
  } catch {
    // Not the file that datasets writes: a data set may have a file of that name.
    return [];
  }
}

function noSuchSplit(path: string, wanted: string, found: readonly string[]) {
  return fileError('DATA_NO_FILES', { file: path }, `there is no split '${wanted}'`, {
    category: 'not_found',
    details: { split: wanted, found: [...found] },
    hint: `Splits found: ${found.join(', ')}.`,
  });
}
