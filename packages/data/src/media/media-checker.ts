/** The media of one conversation: opened, measured, hashed, and written into its text. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { isRejection, type Rejection, reject } from '../handlers/conversation.js';
import { type ByteSource, hashMedia } from './measure/byte-source.js';
import { DEFAULT_MEDIA_LIMITS, type MediaLimits } from './measure/limits.js';
import { type FileKind, measureMedia } from './measure/measure-media.js';
import { MediaFault } from './measure/media-fault.js';
import { openReference } from './measure/open-reference.js';
import {
  type AudioMeasure,
  type ImageMeasure,
  LIST_OF_KIND,
  type MediaLists,
  type MediaMeasure,
  type MediaUse,
  type VideoMeasure,
} from './media-types.js';
import {
  checkCounts,
  DEFAULT_PLACEHOLDERS,
  fillPlaceholders,
  type MediaMessage,
  type Placeholders,
} from './placeholders.js';
import {
  hashSeries,
  measureSeries,
  readSeries,
  type Series,
  type SeriesExpectation,
} from './series/series.js';
import { encodeSeries, type SeriesEncoding } from './series/series-text.js';
import { type MediaPlugin, openMediaPlugin } from './tokens/open-media-plugin.js';
import type { ExpandedMedia, ExpandedMedium, MediaPluginSettings } from './tokens/plugin.js';

/** Settings of a checker. Plain JSON but for the signal, so they can go to a worker. */
export interface MediaCheckerSettings {
  /** Paths of records are relative to this. */
  readonly mediaDir: string;
  /** Absent: media are checked and measured, and placeholders stay. */
  readonly plugin?: MediaPluginSettings;
  /** Those that differ from {@link DEFAULT_PLACEHOLDERS}. */
  readonly placeholders?: Partial<Placeholders>;
  /** Those that differ from {@link DEFAULT_MEDIA_LIMITS}. */
  readonly limits?: Partial<MediaLimits>;
  /** Default false: paths may not lead out of `mediaDir`. */
  readonly allowOutside?: boolean;
  /** Default false: a file's extension has to fit its content. */
  readonly allowMisnamed?: boolean;
  /** How series are written; absent: `<ts>` stays. */
  readonly seriesEncoding?: SeriesEncoding;
  readonly series?: SeriesExpectation;
  readonly signal?: AbortSignal;
}

/** A conversation as far as media are concerned. */
export interface MediaConversation {
  readonly messages: readonly MediaMessage[];
  readonly media?: MediaLists;
}

/** A conversation whose media are all well. */
export interface CheckedMedia<C extends MediaConversation> {
  /** With the text of each medium in the place of its placeholder. */
  readonly conversation: C;
  /** In the order of columns and places. */
  readonly media: readonly MediaUse[];
  /** Places that features of media take in the text, and in front of it. */
  readonly extraTokens: number;
  /** A token to put in front of the sample, `count` times in all, masked; PaliGemma alone. */
  readonly prefix?: { readonly token: string; readonly count: number };
  /** What placeholders became, with Qwen's grids; absent without a plugin. */
  readonly expanded?: ExpandedMedia;
}

/** Checks conversations one after another. */
export interface MediaChecker {
  /** Throws: the signal's reason when it is aborted. Anything wrong with the record is a rejection. */
  check<C extends MediaConversation>(conversation: C): Promise<CheckedMedia<C> | Rejection>;
}

/** A file's facts, kept because pictures are often used in many rows. */
interface FileFacts {
  readonly hash: string;
  readonly bytes: number;
  readonly measure: ImageMeasure | VideoMeasure | AudioMeasure;
}

/** About 10 MB of facts. */
const MAX_KEPT_FILES = 50_000;

interface CheckerState {
  readonly settings: MediaCheckerSettings;
  readonly limits: MediaLimits;
  readonly placeholders: Placeholders;
  readonly plugin: MediaPlugin | undefined;
  readonly files: Map<string, FileFacts>;
}

/**
 * Opens a checker.
 *
 * A file is read once however often it is used; it must not change while the checker lives.
 *
 * Throws: the codes of {@link openMediaPlugin}.
 */
export function createMediaChecker(settings: MediaCheckerSettings): MediaChecker {
  const state: CheckerState = {
    settings,
    limits: { ...DEFAULT_MEDIA_LIMITS, ...settings.limits },
    placeholders: { ...DEFAULT_PLACEHOLDERS, ...settings.placeholders },
    plugin: settings.plugin === undefined ? undefined : openMediaPlugin(settings.plugin),
    files: new Map(),
  };
  return { check: (conversation) => check(conversation, state) };
}

async function check<C extends MediaConversation>(
  conversation: C,
  state: CheckerState,
): Promise<CheckedMedia<C> | Rejection> {
  const lists = readLists(conversation.media ?? {}, state.limits);
  if (isRejection(lists)) return lists;
  const isPlain =
    state.plugin === undefined && Object.values(lists).every((list) => list.length === 0);
  // A text-only data set may speak of <image> without meaning one.
  if (isPlain) return { conversation, media: [], extraTokens: 0 };
  const counts = {
    image: lists.images.length,
    video: lists.videos.length,
    audio: lists.audios.length,
    series: lists.series.length,
  };
  const mismatch = checkCounts(conversation.messages, counts, state.placeholders);
  if (mismatch !== undefined) return mismatch;
  const found = await measureLists(lists, state);
  return isRejection(found) ? found : writeTexts(conversation, found, state);
}

type Lists = { readonly [column in keyof Required<MediaLists>]: readonly unknown[] };

function readLists(media: MediaLists, limits: MediaLimits): Lists | Rejection {
  for (const column of Object.values(LIST_OF_KIND)) {
    const list: unknown = media[column] ?? [];
    if (!Array.isArray(list)) return reject('wrong_type', `'${column}' is not a list`);
    if (list.length > limits.listLength) {
      const found = `'${column}' has ${list.length} entries`;
      return reject('media_unreadable', `${found}; the limit is ${limits.listLength}`);
    }
  }
  const { images = [], videos = [], audios = [], series = [] } = media;
  return { images, videos, audios, series };
}

interface Found {
  readonly uses: MediaUse[];
  readonly images: ImageMeasure[];
  readonly videos: VideoMeasure[];
  readonly audios: AudioMeasure[];
  readonly series: Series[];
}

async function measureLists(lists: Lists, state: CheckerState): Promise<Found | Rejection> {
  const found: Found = { uses: [], images: [], videos: [], audios: [], series: [] };
  for (const column of Object.values(LIST_OF_KIND)) {
    for (const [index, entry] of lists[column].entries()) {
      state.settings.signal?.throwIfAborted();
      try {
        await measureEntry(entry, { column, index }, { found, state });
      } catch (error) {
        if (!(error instanceof MediaFault)) throw error;
        return reject(error.bucket, `${placeName(column, index, entry)}: ${error.message}`);
      }
    }
  }
  return found;
}

/** `images[2] 'photos/a.png'`; long texts, such as data: URIs, are cut. */
function placeName(column: string, index: number, entry: unknown): string {
  const inner = typeof entry === 'object' && entry !== null && 'path' in entry ? entry.path : entry;
  const name =
    typeof inner === 'string' ? ` '${inner.length > 200 ? `${inner.slice(0, 40)}…` : inner}'` : '';
  return `${column}[${index}]${name}`;
}

interface Place {
  readonly column: keyof MediaLists;
  readonly index: number;
}

async function measureEntry(
  entry: unknown,
  place: Place,
  { found, state }: { readonly found: Found; readonly state: CheckerState },
): Promise<void> {
  if (place.column === 'series') {
    const series = readSeries(entry, state.limits.seriesValues, state.settings.series);
    const measure = measureSeries(series);
    const bytes = 8 * measure.channels * measure.length;
    found.uses.push({ hash: hashSeries(series), bytes, measure, ...place });
    found.series.push(series);
    return;
  }
  if (place.column === 'videos' && Array.isArray(entry)) {
    found.videos.push(await measureFrames(entry, place, { found, state }));
    return;
  }
  const facts = await readFacts(entry, KIND_OF_LIST[place.column], state);
  found.uses.push(useOf(facts, place, entry));
  const { measure } = facts;
  if (measure.kind === 'image') found.images.push(measure);
  if (measure.kind === 'video') found.videos.push(measure);
  if (measure.kind === 'audio') found.audios.push(measure);
}

const KIND_OF_LIST = { images: 'image', videos: 'video', audios: 'audio' } as const;

/** A video given as pictures: models take the size of the first. */
async function measureFrames(
  frames: readonly unknown[],
  place: Place,
  { found, state }: { readonly found: Found; readonly state: CheckerState },
): Promise<VideoMeasure> {
  if (frames.length === 0) throw new MediaFault('media_unreadable', 'it has no pictures');
  if (frames.length > state.limits.listLength) {
    const many = `it has ${frames.length} pictures`;
    throw new MediaFault('media_unreadable', `${many}; the limit is ${state.limits.listLength}`);
  }
  let first: MediaMeasure | undefined;
  for (const [frame, entry] of frames.entries()) {
    const facts = await readFacts(entry, 'image', state);
    found.uses.push({ ...useOf(facts, place, entry), frame });
    first ??= facts.measure;
  }
  const { width, height } = first as ImageMeasure;
  const count = frames.length;
  const lengths = { frames: count, declaredFrames: count, seconds: null, declaredSeconds: null };
  return { kind: 'video', format: 'frames', width, height, rotation: 0, ...lengths };
}

function useOf({ hash, bytes, measure }: FileFacts, place: Place, entry: unknown): MediaUse {
  const path = pathOf(entry);
  return { hash, bytes, measure, ...place, ...(path === undefined ? {} : { path }) };
}

function pathOf(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry.startsWith('data:') ? undefined : entry;
  if (typeof entry !== 'object' || entry === null || !('path' in entry)) return undefined;
  return typeof entry.path === 'string' && entry.path !== '' ? entry.path : undefined;
}

/** Whether the record holds the content itself. */
function isInline(entry: unknown): boolean {
  if (pathOf(entry) === undefined) return true;
  return typeof entry === 'object' && entry !== null && 'bytes' in entry && entry.bytes != null;
}

async function readFacts(entry: unknown, kind: FileKind, state: CheckerState): Promise<FileFacts> {
  const { mediaDir, allowOutside = false } = state.settings;
  const key = isInline(entry) ? undefined : `${kind} ${pathOf(entry)}`;
  const kept = key === undefined ? undefined : state.files.get(key);
  if (kept !== undefined) return kept;
  const { source, path } = await openReference(entry, { mediaDir, allowOutside });
  try {
    const facts = await measureSource(source, { kind, path, state });
    if (key !== undefined) keep(state.files, key, facts);
    return facts;
  } finally {
    await source.close();
  }
}

async function measureSource(
  source: ByteSource,
  { kind, path, state }: { kind: FileKind; path: string | undefined; state: CheckerState },
): Promise<FileFacts> {
  const { allowMisnamed = false, signal } = state.settings;
  // Bytes inside a record carry names that data sets make up.
  const name = path === undefined || source.path === undefined ? {} : { name: path };
  const measure = await measureMedia(source, {
    kind,
    limits: state.limits,
    allowMisnamed,
    ...name,
  });
  return { hash: await hashMedia(source, signal), bytes: source.bytes, measure };
}

/** A map keeps the order of insertion: the oldest goes. */
function keep(files: Map<string, FileFacts>, key: string, facts: FileFacts): void {
  if (files.size >= MAX_KEPT_FILES) {
    const oldest = files.keys().next().value;
    if (oldest !== undefined) files.delete(oldest);
  }
  files.set(key, facts);
}

function writeTexts<C extends MediaConversation>(
  conversation: C,
  found: Found,
  state: CheckerState,
): CheckedMedia<C> | Rejection {
  const { plugin, placeholders, settings } = state;
  try {
    const expanded = plugin?.expand(found);
    const { seriesEncoding } = settings;
    const series =
      seriesEncoding === undefined
        ? []
        : found.series.map((item) => encodeSeries(item, seriesEncoding));
    const texts = {
      image: textsOf(expanded?.images),
      video: textsOf(expanded?.videos),
      audio: textsOf(expanded?.audios),
      series,
    };
    const messages = fillPlaceholders(conversation.messages, texts, placeholders);
    const prefix = plugin?.prefix;
    const count = (prefix?.count ?? 0) * found.images.length;
    return {
      conversation:
        messages === conversation.messages ? conversation : { ...conversation, messages },
      media: found.uses,
      extraTokens: countPlaces(expanded),
      ...(prefix === undefined || count === 0 ? {} : { prefix: { token: prefix.token, count } }),
      ...(expanded === undefined ? {} : { expanded }),
    };
  } catch (error) {
    if (error instanceof MediaFault) return reject(error.bucket, error.message);
    const isSeries = error instanceof TuneyardError && error.code === DATA_ERRORS.DATA_BAD_SERIES;
    if (isSeries) return reject('media_unreadable', `series: ${error.message}`);
    throw error;
  }
}

function textsOf(items: readonly ExpandedMedium[] | undefined): string[] {
  return items?.map(({ text }) => text) ?? [];
}

function countPlaces(expanded: ExpandedMedia | undefined): number {
  if (expanded === undefined) return 0;
  const all = [...expanded.images, ...expanded.videos, ...expanded.audios];
  return all.reduce((sum, { tokens }) => sum + tokens, 0);
}
