/** What tells whether a file is still the one that was read: path, size, time of change. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Path, bytes, milliseconds. */
export type FileStamp = readonly [string, number, number];

/** Stamps of files, in order. */
export function stampsOf(paths: readonly string[]): Promise<FileStamp[]> {
  return Promise.all(
    paths.map(async (path): Promise<FileStamp> => {
      const { size, mtimeMs } = await stat(path);
      return [path, size, mtimeMs];
    }),
  );
}

/** The files of a model directory that say how text becomes tokens; weights do not. */
export async function tokenizerFilesIn(path: string): Promise<string[]> {
  const entries = await readdir(path).catch(() => null);
  if (entries === null) return [path];
  const isText = (name: string): boolean => /\.(json|model|jinja|txt)$/.test(name);
  return entries
    .filter(isText)
    .sort()
    .map((name) => join(path, name));
}
