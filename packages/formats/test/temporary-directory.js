import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
/** A directory that exists while the suite runs. `save` writes a file into it and returns its path. */
export function useTemporaryDirectory() {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tuneyard-formats-'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });
  const path = (name) => join(directory, name);
  return {
    path,
    save: async (name, bytes) => {
      await writeFile(path(name), bytes);
      return path(name);
    },
  };
}
//# sourceMappingURL=temporary-directory.js.map
