import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** A directory that exists while the suite runs. `save` writes a file into it and returns its path. */
export function useTemporaryDirectory(): {
  path(name: string): string;
  save(name: string, bytes: Uint8Array | string): Promise<string>;
} {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tuneyard-formats-'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });
  const path = (name: string): string => join(directory, name);
  return {
    path,
    save: async (name, bytes) => {
      await writeFile(path(name), bytes);
      return path(name);
    },
  };
}
