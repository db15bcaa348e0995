/**
 * What of a conversion is done: one JSON line per finished file, in the directory of its unfinished output.
 *
 * The first line names the plan; a journal of another plan is worth nothing. A line that a crash cut short is the last
 * and is ignored.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';

/** A finished target file. */
export interface FinishedFile {
  /** Index among the plan's files. */
  readonly file: number;
  readonly size: number;
  /** Of the file when it was finished; renaming keeps it. */
  readonly mtimeMs: number;
  /** Finite values that became infinite: pairs of a tensor's index among the plan's and a count. */
  readonly overflows: readonly (readonly [number, number])[];
}

/** What a journal says. */
export interface JournalContents {
  readonly finished: readonly FinishedFile[];
  /** All files were finished and began to get their final names. */
  readonly isCommitting: boolean;
}

const VERSION = 1;

/** Reads a journal; null when there is none, or it is one of another plan. */
export async function readJournal(path: string, planHash: string): Promise<JournalContents | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  const [first, ...lines] = text.split('\n').slice(0, -1).map(parseLine);
  if (first?.['version'] !== VERSION || first['plan'] !== planHash) return null;
  return {
    finished: lines.filter((line) => line !== null && 'file' in line) as unknown as FinishedFile[],
    isCommitting: lines.some((line) => line?.['committing'] === true),
  };
}

function parseLine(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    // Cut short by a crash: the file that it spoke of is written again.
    return null;
  }
}

/** Appends to a journal. Each line is on the disk when its promise settles. */
export class JournalWriter {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Starts a journal that says what `finished` says. */
  static async create(
    path: string,
    planHash: string,
    finished: readonly FinishedFile[],
  ): Promise<JournalWriter> {
    const writer = new JournalWriter(await open(path, 'w'));
    await writer.#append({ version: VERSION, plan: planHash });
    for (const file of finished) await writer.#append(file);
    return writer;
  }

  async finish(file: FinishedFile): Promise<void> {
    await this.#append(file);
  }

  /** From here on, files get their final names. */
  async commit(): Promise<void> {
    await this.#append({ committing: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #append(line: object): Promise<void> {
    await this.#handle.appendFile(`${JSON.stringify(line)}\n`);
    await this.#handle.sync();
  }
}
