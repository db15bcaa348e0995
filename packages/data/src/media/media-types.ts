/** The words of media: kinds, columns, what a file measures, and where it is used. */

/** What a placeholder stands for. */
export type MediaKind = 'image' | 'video' | 'audio' | 'series';

/** Kinds in the order in which lists are checked and reported. */
export const MEDIA_KINDS: readonly MediaKind[] = ['image', 'video', 'audio', 'series'];

/** The lists of a conversation; entries are as the record has them. */
export interface MediaLists {
  readonly images?: readonly unknown[];
  readonly videos?: readonly unknown[];
  readonly audios?: readonly unknown[];
  readonly series?: readonly unknown[];
}

/** The list that holds a kind. */
export const LIST_OF_KIND = {
  image: 'images',
  video: 'videos',
  audio: 'audios',
  series: 'series',
} as const satisfies { readonly [kind in MediaKind]: keyof MediaLists };

/** File formats that are measured. */
export type MediaFormat =
  | 'png'
  | 'jpeg'
  | 'webp'
  | 'gif'
  | 'bmp'
  | 'tiff'
  | 'mp4'
  | 'mov'
  | 'matroska'
  | 'webm'
  | 'avi'
  | 'mpeg-ts'
  | 'wav'
  | 'mp3'
  | 'flac'
  | 'ogg'
  | 'aac';

/** A picture's size in pixels as stored, before any turn by its EXIF orientation. */
export interface ImageMeasure {
  readonly kind: 'image';
  readonly format: MediaFormat;
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 to 8; 5 to 8 swap width and height on a screen. */
  readonly orientation: number;
}

/** A video's first picture track. */
export interface VideoMeasure {
  readonly kind: 'video';
  /** `frames`: a list of pictures instead of a file. */
  readonly format: MediaFormat | 'frames';
  readonly width: number;
  readonly height: number;
  /** Clockwise degrees that a player turns it by; the sizes are before that. */
  readonly rotation: number;
  /** Pictures in the track. */
  readonly frames: number;
  /** Pictures as the container's index counts them; 0 where it has no such count (WebM, fragmented MP4). */
  readonly declaredFrames: number;
  /** Seconds of the track; null for a list of frames. */
  readonly seconds: number | null;
  /** Seconds as the container's header says; null where only the packets tell. */
  readonly declaredSeconds: number | null;
}

/** A sound file's first track. */
export interface AudioMeasure {
  readonly kind: 'audio';
  readonly format: MediaFormat;
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Samples of one channel. */
  readonly samples: number;
  readonly seconds: number;
}

/** A list of numbers per channel. */
export interface SeriesMeasure {
  readonly kind: 'series';
  readonly channels: number;
  /** Values of one channel. */
  readonly length: number;
  /** Hz; null where the record does not say. */
  readonly samplingRate: number | null;
}

/** What was found about one medium. */
export type MediaMeasure = ImageMeasure | VideoMeasure | AudioMeasure | SeriesMeasure;

/** One medium of one conversation. */
export interface MediaUse {
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly hash: string;
  readonly bytes: number;
  readonly measure: MediaMeasure;
  /** The list and the place in it: `images`, 0. */
  readonly column: keyof MediaLists;
  readonly index: number;
  /** Place within a video that is a list of pictures. */
  readonly frame?: number;
  /** Path as the record has it; absent for bytes without a name and for series. */
  readonly path?: string;
}
