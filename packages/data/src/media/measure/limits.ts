/** Bounds of one medium; all are checked before content is read or memory is taken. */

/** Largest media that are accepted. */
export interface MediaLimits {
  /** Bytes of a picture's file, which is read whole. */
  readonly imageBytes: number;
  /** Width times height of a picture or of a video's frames. */
  readonly imagePixels: number;
  /** Bytes of a sound or video file, which is read in pieces. */
  readonly trackBytes: number;
  readonly videoSeconds: number;
  readonly audioSeconds: number;
  /** Entries of one list of a conversation, and pictures of a video given as a list. */
  readonly listLength: number;
  /** Numbers of one series, over all channels. */
  readonly seriesValues: number;
}

/** Limits where the caller sets none. */
export const DEFAULT_MEDIA_LIMITS: MediaLimits = {
  /** The largest file seen in public sets is a 60 MB satellite TIFF. */
  imageBytes: 256 * 1024 * 1024,
  /** Pillow refuses at 178,956,970 (twice its warning), so a larger picture could not be trained on. */
  imagePixels: 178_956_970,
  /** A two-hour film at 8 Mbit/s is 7 GB. */
  trackBytes: 16 * 1024 * 1024 * 1024,
  videoSeconds: 4 * 3600,
  audioSeconds: 4 * 3600,
  /** Interleaved documents have hundreds of pictures; frame lists have up to 768. */
  listLength: 4096,
  /** An hour of six channels at 100 Hz is 2,160,000. */
  seriesValues: 4_000_000,
};

/** The first bytes of a file that tell its format. */
export const SNIFF_BYTES = 64;

/** Longest text of a `data:` URI or of base64 in a record: four thirds of {@link DEFAULT_MEDIA_LIMITS} for pictures. */
export const MAX_INLINE_CHARS = 360 * 1024 * 1024;
