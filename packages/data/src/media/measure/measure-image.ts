/** From a picture's bytes to its size. */
import type { ImageMeasure, MediaFormat } from '../media-types.js';
import type { ByteSource } from './byte-source.js';
import {
  bmpHeader,
  gifHeader,
  ImageFault,
  type ImageHeader,
  jpegHeader,
  pngHeader,
  webpHeader,
} from './image-headers.js';
import type { MediaLimits } from './limits.js';
import { MediaFault } from './media-fault.js';
import { tiffHeader } from './tiff-header.js';

const HEADERS: { readonly [format in MediaFormat]?: (content: Uint8Array) => ImageHeader } = {
  png: pngHeader,
  jpeg: jpegHeader,
  webp: webpHeader,
  gif: gifHeader,
  bmp: bmpHeader,
  tiff: tiffHeader,
};

/**
 * Measures a picture.
 *
 * Throws: {@link MediaFault} when it is damaged, empty or past a limit.
 */
export async function measureImage(
  source: ByteSource,
  format: MediaFormat,
  limits: MediaLimits,
): Promise<ImageMeasure> {
  if (source.bytes > limits.imageBytes) {
    const found = `it has ${source.bytes} bytes; a picture may have ${limits.imageBytes}`;
    throw new MediaFault('media_unreadable', found);
  }
  const content = await source.read(0, source.bytes);
  const header = readHeader(content, format);
  const { width, height } = header;
  if (width < 1 || height < 1) {
    throw new MediaFault('media_unreadable', `it says that it is ${width}×${height} pixels`);
  }
  if (width * height > limits.imagePixels) {
    const found = `it is ${width}×${height} = ${width * height} pixels`;
    throw new MediaFault('media_unreadable', `${found}; the limit is ${limits.imagePixels}`);
  }
  return { kind: 'image', format, ...header };
}

function readHeader(content: Uint8Array, format: MediaFormat): ImageHeader {
  const read = HEADERS[format];
  if (read === undefined) throw new MediaFault('media_unreadable', `${format} is no picture`);
  try {
    return read(content);
  } catch (error) {
    if (error instanceof ImageFault) {
      throw new MediaFault('media_unreadable', `the ${format} is damaged: ${error.message}`);
    }
    if (error instanceof RangeError) {
      throw new MediaFault('media_unreadable', `the ${format} is damaged: it is cut off`);
    }
    throw error;
  }
}
