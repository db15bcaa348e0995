/** What kinds of data files are read, and what a file's name says about its kind. */
import { basename } from 'node:path';

/** How the records of a file are laid out. */
export type FileLayout =
  | 'json-lines'
  | 'json-array'
  | 'csv'
  | 'tsv'
  | 'text-lines'
  | 'parquet'
  | 'arrow';

/** How a whole file is compressed; columnar files compress inside and are `none`. */
export type FileCompression = 'none' | 'gzip' | 'zstd';

/** A data file whose kind is known. */
export interface DataFile {
  readonly path: string;
  readonly layout: FileLayout;
  readonly compression: FileCompression;
  /** Size on disk. */
  readonly bytes: number;
}

/** What a name says: `json` is an array or lines, as its first character tells. */
export type NamedLayout = Exclude<FileLayout, 'json-lines' | 'json-array'> | 'json';

/** The kind of a file by its name. */
export interface NamedKind {
  readonly layout: NamedLayout;
  readonly compression: FileCompression;
  /** The extension as counted in folders, lower case: `.jsonl`, `.jsonl.gz`. */
  readonly extension: string;
}

const LAYOUT_BY_EXTENSION: ReadonlyMap<string, NamedLayout> = new Map([
  ['.jsonl', 'json'],
  ['.json', 'json'],
  ['.ndjson', 'json'],
  ['.parquet', 'parquet'],
  ['.arrow', 'arrow'],
  ['.csv', 'csv'],
  ['.tsv', 'tsv'],
  ['.txt', 'text-lines'],
]);

const COMPRESSION_BY_EXTENSION: ReadonlyMap<string, FileCompression> = new Map([
  ['.gz', 'gzip'],
  ['.zst', 'zstd'],
]);

/** The extensions that are read, in the order in which a tie of counts in a folder is decided. */
export const DATA_EXTENSIONS: readonly string[] = [...LAYOUT_BY_EXTENSION.keys()];

/** Tells the kind of a file from its name; undefined when the extension is not one that is read. */
export function kindOfName(path: string): NamedKind | undefined {
  const name = basename(path).toLowerCase();
  const outer = lastExtension(name);
  const compression = COMPRESSION_BY_EXTENSION.get(outer);
  if (compression === undefined) return kindOf(outer, 'none', outer);
  const inner = lastExtension(name.slice(0, -outer.length));
  const kind = kindOf(inner, compression, inner + outer);
  const isColumnar = kind?.layout === 'parquet' || kind?.layout === 'arrow';
  return isColumnar ? undefined : kind;
}

function kindOf(
  extension: string,
  compression: FileCompression,
  whole: string,
): NamedKind | undefined {
  const layout = LAYOUT_BY_EXTENSION.get(extension);
  return layout && { layout, compression, extension: whole };
}

function lastExtension(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? '' : name.slice(dot);
}
