/** From an opened medium to its measure: what it is, whether it is what its name and column say, how large. */
import { extname } from 'node:path';
import type { AudioMeasure, ImageMeasure, MediaKind, VideoMeasure } from '../media-types.js';
import type { ByteSource } from './byte-source.js';
import { type MediaLimits, SNIFF_BYTES } from './limits.js';
import { measureImage } from './measure-image.js';
import { measureAudio, measureVideo } from './measure-tracks.js';
import { MediaFault } from './media-fault.js';
import { formatsOfExtension, type SniffedFormat, sniffFormat } from './sniff-format.js';

/** Kinds that are files; a series is numbers in the record. */
export type FileKind = Exclude<MediaKind, 'series'>;

/** What a medium should be. */
export interface MeasureRequest {
  readonly kind: FileKind;
  readonly limits: MediaLimits;
  /** File name, if there is one; its extension has to fit the content. */
  readonly name?: string;
  /** True accepts, say, a PNG whose name ends in .jpg: decoders go by content. */
  readonly allowMisnamed?: boolean;
}

/**
 * Measures a medium by its content.
 *
 * Throws: {@link MediaFault} when it is empty, damaged, of another kind, misnamed or past a limit.
 */
export async function measureMedia(
  source: ByteSource,
  request: MeasureRequest,
): Promise<ImageMeasure | VideoMeasure | AudioMeasure> {
  if (source.bytes === 0) throw new MediaFault('media_unreadable', 'it is empty');
  const format = checkFormat(sniffFormat(await source.read(0, SNIFF_BYTES)), request);
  const { kind, limits } = request;
  switch (kind) {
    case 'image':
      return measureImage(source, format, limits);
    case 'video':
      return measureVideo(source, { format, limits });
    case 'audio':
      return measureAudio(source, { format, limits });
  }
}

function checkFormat(sniffed: SniffedFormat | undefined, request: MeasureRequest) {
  const { kind, name = '', allowMisnamed = false } = request;
  if (sniffed === undefined) {
    throw new MediaFault('media_unreadable', `its content is no ${kind} of a known format`);
  }
  if ('unsupported' in sniffed) {
    throw new MediaFault(
      'media_unreadable',
      `it is ${sniffed.unsupported}; expected ${FORMATS_OF[kind]}`,
    );
  }
  const { format, kinds } = sniffed;
  if (!kinds.includes(kind)) {
    throw new MediaFault(
      'media_unreadable',
      `it is ${format}, no ${kind}; expected ${FORMATS_OF[kind]}`,
    );
  }
  const extension = extname(name).toLowerCase();
  const expected = formatsOfExtension(extension);
  if (!allowMisnamed && expected !== undefined && !expected.includes(format)) {
    throw new MediaFault('media_unreadable', `its name ends in ${extension} but it is ${format}`);
  }
  return format;
}

const FORMATS_OF: { readonly [kind in FileKind]: string } = {
  image: 'png, jpeg, webp, gif, bmp or tiff',
  video: 'mp4, mov, mkv, webm, avi or ts',
  audio: 'wav, mp3, flac, ogg, m4a or aac',
};
