/** From an entry of a media column to bytes: a path, a `data:` URI, or the object that data sets store. */
import { realpath } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import { isJsonRecord } from '../../handlers/record-fields.js';
import { type ByteSource, memorySource, openFileSource } from './byte-source.js';
import { MAX_INLINE_CHARS } from './limits.js';
import { MediaFault } from './media-fault.js';

/** A medium that can be read; close it. */
export interface OpenedMedia {
  readonly source: ByteSource;
  /** Path or name as the record has it; absent for bytes without one. */
  readonly path?: string;
}

/** Where paths of records lead. */
export interface MediaFolder {
  /** Paths are relative to this. */
  readonly mediaDir: string;
  /** Default false: a path that leads out of the folder, be it by `..`, a root or a link, is refused. */
  readonly allowOutside?: boolean;
}

/**
 * Opens an entry.
 *
 * Throws: {@link MediaFault} `media_not_found` for a path that leads to no file, `media_unreadable` for bytes that
 * cannot be decoded, `wrong_type` for an entry of no known form.
 */
export async function openReference(entry: unknown, folder: MediaFolder): Promise<OpenedMedia> {
  if (typeof entry === 'string') {
    if (entry.startsWith('data:')) return { source: memorySource(decodeDataUri(entry)) };
    return openPath(entry, folder);
  }
  if (entry instanceof Uint8Array) return { source: memorySource(entry) };
  if (!isJsonRecord(entry)) {
    throw new MediaFault('wrong_type', 'it is neither a path nor an object with bytes or path');
  }
  const path = entry['path'];
  const name = typeof path === 'string' && path !== '' ? path : undefined;
  const bytes = entry['bytes'];
  if (bytes !== undefined && bytes !== null) {
    const source = memorySource(decodeBytes(bytes));
    return name === undefined ? { source } : { source, path: name };
  }
  if (name !== undefined) return openReference(name, folder);
  throw new MediaFault('wrong_type', 'it has neither bytes nor a path');
}

async function openPath(path: string, folder: MediaFolder): Promise<OpenedMedia> {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(path)?.[0];
  if (scheme !== undefined) {
    throw new MediaFault('media_not_found', `${scheme} addresses are not fetched; save the file`);
  }
  if (path.trim() === '' || path.includes('\0')) {
    throw new MediaFault('media_not_found', 'it is no path');
  }
  const full = resolve(folder.mediaDir, path);
  try {
    if (folder.allowOutside !== true) await checkInside(path, full, folder.mediaDir);
    return { source: await openFileSource(full), path };
  } catch (error) {
    throw toFault(error);
  }
}

/** Links are followed before comparing, so that none leads out. */
async function checkInside(path: string, full: string, mediaDir: string): Promise<void> {
  const root = await realpath(mediaDir);
  const real = await realpath(full);
  if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return;
  const how = isAbsolute(path) ? 'its absolute path' : 'it';
  throw new MediaFault('media_not_found', `${how} leads out of the media folder ${mediaDir}`);
}

function toFault(error: unknown): unknown {
  if (error instanceof MediaFault || !(error instanceof Error) || !('code' in error)) return error;
  const why = WHY.get(String(error.code));
  if (why !== undefined) return new MediaFault('media_not_found', why);
  return new MediaFault('media_unreadable', `it cannot be opened (${error.code})`);
}

const WHY: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file in the media folder'],
  ['ENOTDIR', 'a folder in its path is a file'],
  ['ENAMETOOLONG', 'its path is too long'],
  ['ELOOP', 'its symbolic links go in a circle'],
  ['EISDIR', 'it is a folder'],
  ['EINVAL', 'it is no regular file'],
  ['ENXIO', 'it is no regular file'],
]);

/** Bytes of columnar files, base64 text, and the two ways in which JSON writers spell out bytes. */
function decodeBytes(bytes: unknown): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (typeof bytes === 'string') return decodeBase64(bytes);
  const list = isJsonRecord(bytes) && bytes['type'] === 'Buffer' ? bytes['data'] : bytes;
  if (
    Array.isArray(list) &&
    list.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256)
  ) {
    return Uint8Array.from(list);
  }
  throw new MediaFault('wrong_type', 'its bytes are neither bytes nor base64 text');
}

function decodeDataUri(uri: string): Uint8Array {
  const comma = uri.indexOf(',');
  if (comma < 0) throw new MediaFault('media_unreadable', 'its data: URI has no comma');
  const body = uri.slice(comma + 1);
  if (uri.slice(0, comma).endsWith(';base64')) return decodeBase64(body);
  try {
    return new TextEncoder().encode(decodeURIComponent(body));
  } catch {
    throw new MediaFault('media_unreadable', 'its data: URI is badly escaped');
  }
}

function decodeBase64(text: string): Uint8Array {
  if (text.length > MAX_INLINE_CHARS) {
    const found = `its base64 text has ${text.length} characters`;
    throw new MediaFault('media_unreadable', `${found}; the limit is ${MAX_INLINE_CHARS}`);
  }
  // Node skips what is not base64, so the text is checked first.
  if (/[^A-Za-z0-9+/=_\s-]/.test(text)) {
    throw new MediaFault('media_unreadable', 'its text is not base64');
  }
  return Buffer.from(text, 'base64');
}
