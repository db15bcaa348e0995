/** Lists the files of the repository that the tools look at. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders that hold nothing written here: installed, built, cached or recorded. */
const SKIPPED_FOLDERS = new Set([
  'node_modules',
  'dist',
  'coverage',
  '.git',
  '.tuneyard',
  '.cache',
  '__pycache__',
]);

/** Paths of all files below `root`, relative to it, with forward slashes, sorted. */
export async function listFiles(root: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name)) await visit(path);
      else if (entry.isFile()) found.push(path);
    }
  };
  await visit('');
  return found.sort();
}

/** True for TypeScript of packages, apps and tools; false for declarations and data. */
export function isSourceFile(path: string): boolean {
  return /^(packages|apps|tools)\/.*\.tsx?$/.test(path) && !/\.d\.ts$|\/fixtures\//.test(path);
}
