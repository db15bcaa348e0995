/**
 * Target files under temporary names in one directory, with a journal of which are whole. When all are, each gets its
 * final name; until then nothing is under a final name, and a run that was interrupted goes on with the files that are
 * missing.
 */
import { mkdir, open, readdir, rename, rm, rmdir, stat, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defined, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { ioError } from './file-table.js';
import { type FinishedFile, JournalWriter, readJournal } from './journal.js';

/** What a stage holds. */
export interface StageOptions {
  readonly directory: string;
  readonly outDir: string;
  /** Relative to `outDir`. */
  readonly paths: readonly string[];
  readonly planHash: string;
  /** Wait until files are on the disk before they count as whole. */
  readonly isDurable: boolean;
  /** Replace files that have the final names. */
  readonly isOverwriting: boolean;
}

const JOURNAL = 'journal.jsonl';
const PARTIAL = /^\d{6}\.partial$/;

/** An open stage. End it with {@link commit} or {@link abandon}. */
export class Stage {
  /** Paths of the temporary files, in the order of the plan's files. */
  readonly partialPaths: readonly string[];
  readonly #options: StageOptions;
  readonly #journal: JournalWriter;
  readonly #finished: Map<number, FinishedFile>;

  private constructor(
    options: StageOptions,
    journal: JournalWriter,
    finished: ReadonlyMap<number, FinishedFile>,
  ) {
    this.#options = options;
    this.#journal = journal;
    this.#finished = new Map(finished);
    this.partialPaths = options.paths.map((_, file) => partialPath(options.directory, file));
  }

  /**
   * Opens a stage, with what an interrupted run of the same plan finished.
   *
   * Throws: `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_CONVERT_WRITE`.
   */
  static async open(options: StageOptions): Promise<Stage> {
    const { directory, planHash, paths } = options;
    try {
      await mkdir(options.outDir, { recursive: true });
      await mkdir(directory, { recursive: true });
      await checkSameFilesystem(options);
      const journalPath = join(directory, JOURNAL);
      const journal = await readJournal(journalPath, planHash);
      const finished = new Map<number, FinishedFile>();
      for (const entry of journal?.finished ?? []) {
        const isThere = await isUnchanged(options, entry, journal?.isCommitting === true);
        if (isThere) finished.set(entry.file, entry);
      }
      if (!options.isOverwriting) await refuseExisting(options, finished);
      await removePartials(directory, (file) => file < paths.length && finished.has(file));
      const writer = await JournalWriter.create(journalPath, planHash, [...finished.values()]);
      return new Stage(options, writer, finished);
    } catch (error) {
      throw ioError('write', directory, error);
    }
  }

  /** Files that are whole, by index. */
  get finished(): ReadonlyMap<number, FinishedFile> {
    return this.#finished;
  }

  /** Creates a file of the given size, all of it a hole. Throws: `WEIGHTS_CONVERT_WRITE`, `…_DISK_FULL`. */
  async createFile(file: number, size: number): Promise<void> {
    const path = this.#partial(file);
    try {
      const handle = await open(path, 'w');
      await handle.close();
      await truncate(path, size);
    } catch (error) {
      throw ioError('write', path, error);
    }
  }

  /** Writes what is left of a file and notes that it is whole. */
  async finishFile(
    file: number,
    fixed: readonly { readonly at: number; readonly bytes: Uint8Array }[],
    overflows: FinishedFile['overflows'],
  ): Promise<void> {
    const path = this.#partial(file);
    try {
      const handle = await open(path, 'r+');
      try {
        for (const { at, bytes } of fixed) {
          for (let done = 0; done < bytes.length; ) {
            const { bytesWritten } = await handle.write(
              bytes,
              done,
              bytes.length - done,
              at + done,
            );
            done += bytesWritten;
          }
        }
        if (this.#options.isDurable) await handle.sync();
        const { size, mtimeMs } = await handle.stat();
        const entry = { file, size, mtimeMs, overflows };
        await this.#journal.finish(entry);
        this.#finished.set(file, entry);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw ioError('write', path, error);
    }
  }

  /**
   * Gives every file its final name, finishes, and removes the stage.
   *
   * Throws: `WEIGHTS_CONVERT_WRITE`, and what `finish` throws.
   */
  async commit(finish?: () => Promise<void>): Promise<void> {
    const { outDir, paths, directory, isDurable } = this.#options;
    try {
      await this.#journal.commit();
      const folders = new Set<string>();
      for (const [file, path] of paths.entries()) {
        const target = join(outDir, path);
        await mkdir(dirname(target), { recursive: true });
        folders.add(dirname(target));
        // An interrupted commit may have moved it already.
        await rename(this.#partial(file), target).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
      }
      if (isDurable) for (const folder of folders) await syncFolder(folder);
      await finish?.();
      await this.#journal.close();
      await removeStage(directory);
    } catch (error) {
      throw ioError('write', outDir, error);
    }
  }

  /** Removes what is unfinished, and the stage itself when nothing is finished. */
  async abandon(): Promise<void> {
    const { directory } = this.#options;
    await this.#journal.close();
    if (this.#finished.size === 0) await removeStage(directory);
    else await removePartials(directory, (file) => this.#finished.has(file));
  }

  #partial(file: number): string {
    return defined(this.partialPaths[file], `file ${file}`);
  }
}

function partialPath(directory: string, file: number): string {
  return join(directory, `${String(file).padStart(6, '0')}.partial`);
}

/** A file is still as it was finished, under its temporary or, when files were being renamed, its final name. */
async function isUnchanged(
  { directory, outDir, paths }: StageOptions,
  { file, size, mtimeMs }: FinishedFile,
  isCommitting: boolean,
): Promise<boolean> {
  const final = paths[file];
  if (final === undefined) return false;
  const places = [partialPath(directory, file)];
  if (isCommitting) places.push(join(outDir, final));
  for (const place of places) {
    const found = await stat(place).catch(() => null);
    if (found?.size === size && found.mtimeMs === mtimeMs) return true;
  }
  return false;
}

async function refuseExisting(
  { directory, outDir, paths }: StageOptions,
  finished: ReadonlyMap<number, FinishedFile>,
): Promise<void> {
  for (const [file, path] of paths.entries()) {
    const target = join(outDir, path);
    if ((await stat(target).catch(() => null)) === null) continue;
    const isOurs =
      finished.has(file) && (await stat(partialPath(directory, file)).catch(() => null)) === null;
    if (isOurs) continue;
    throw new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS, `${target} exists already`, {
      category: 'conflict',
      details: { path: target },
      hint: 'Remove it or choose an empty output directory.',
    });
  }
}

/** Renaming cannot move bytes between filesystems. */
async function checkSameFilesystem({ directory, outDir }: StageOptions): Promise<void> {
  const [a, b] = [await stat(directory), await stat(outDir)];
  if (a.dev === b.dev) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_WRITE,
    `${directory} is not on the filesystem of ${outDir}`,
    { hint: 'Choose a work directory on the filesystem of the output.' },
  );
}

async function removePartials(directory: string, isKept: (file: number) => boolean): Promise<void> {
  for (const name of await readdir(directory)) {
    if (PARTIAL.test(name) && !isKept(Number.parseInt(name, 10))) await rm(join(directory, name));
  }
}

/** Removes our files; the directory only when nothing else is in it. */
async function removeStage(directory: string): Promise<void> {
  await removePartials(directory, () => false);
  await rm(join(directory, JOURNAL), { force: true });
  await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
