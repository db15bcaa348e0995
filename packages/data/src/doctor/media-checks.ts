/** Whether the placeholders of a dialogue match the files that its record lists, and whether those are there. */
import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type Conversation, type Rejection, reject } from '../handlers/conversation.js';

/** Placeholder of each kind of medium. */
const PLACEHOLDERS = { images: '<image>', videos: '<video>', audios: '<audio>' } as const;

/** Looks files up once; remembers at most this many. */
const REMEMBERED_MAX = 100_000;

/** Checks the media of dialogues. */
export class MediaChecks {
  readonly #dir: string;
  readonly #known = new Map<string, boolean>();

  /** `dir`: what relative paths are relative to. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The first fault of a dialogue that lists media; undefined when there is none. */
  async check({ messages, media }: Conversation): Promise<Rejection | undefined> {
    if (media === undefined) return undefined;
    for (const kind of ['images', 'videos', 'audios'] as const) {
      const placeholder = PLACEHOLDERS[kind];
      const found = messages.reduce(
        (sum, { content }) => sum + content.split(placeholder).length - 1,
        0,
      );
      const listed = media[kind].length;
      if (found !== listed) {
        const reason = `${found} ${placeholder} in the text, ${listed} in ${kind}`;
        return reject('media_count_mismatch', reason);
      }
    }
    for (const path of [...media.images, ...media.videos, ...media.audios].flatMap(pathsOf)) {
      if (!(await this.#exists(path))) return reject('media_not_found', path);
    }
    return undefined;
  }

  async #exists(path: string): Promise<boolean> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = await isThere(isAbsolute(path) ? path : join(this.#dir, path));
    if (this.#known.size < REMEMBERED_MAX) this.#known.set(path, found);
    return found;
  }
}

/** Paths of files on this machine: not addresses, not media whose bytes are in the record. */
function pathsOf(medium: unknown): readonly string[] {
  if (typeof medium === 'string') return /^(?:https?|s3|data|file):/.test(medium) ? [] : [medium];
  if (Array.isArray(medium)) return medium.flatMap(pathsOf);
  if (typeof medium !== 'object' || medium === null) return [];
  const { path, bytes } = medium as { readonly path?: unknown; readonly bytes?: unknown };
  const isInline = bytes !== undefined && bytes !== null;
  return typeof path === 'string' && path !== '' && !isInline ? pathsOf(path) : [];
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    // Whatever keeps the file from being reached keeps it from being trained on.
    return false;
  }
}
