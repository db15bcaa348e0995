/**
 * How sizes change before a model sees a picture. All are pure functions of widths and heights in pixels.
 *
 * Rounding is Python's, so that every number equals the reference's.
 */

/** Width and height in pixels. */
export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** How many pixels a picture may have after the first resize. */
export interface PixelRange {
  readonly maxPixels: number;
  readonly minPixels: number;
}

/** Python's `round` to a whole number: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Shrinks a picture to `maxPixels`, then enlarges to `minPixels`, keeping its shape; sides are cut to whole numbers.
 *
 * Undefined where a side would be 0, which no decoder can make. Source: LLaMA-Factory v0.9.3, mm_plugin.
 */
export function fitPixels(
  size: PixelSize,
  { maxPixels, minPixels }: PixelRange,
): PixelSize | undefined {
  let { width, height } = size;
  if (width * height > maxPixels) {
    const factor = Math.sqrt(maxPixels / (width * height));
    [width, height] = [Math.trunc(width * factor), Math.trunc(height * factor)];
  }
  if (width < 1 || height < 1) return undefined;
  if (width * height < minPixels) {
    const factor = Math.sqrt(minPixels / (width * height));
    [width, height] = [Math.trunc(width * factor), Math.trunc(height * factor)];
  }
  return width < 1 || height < 1 ? undefined : { width, height };
}

/** Side that Qwen's plugin enlarges to, and the shapes that it squeezes. */
const QWEN_MIN_SIDE = 28;
const QWEN_MAX_ASPECT = 200;
const QWEN_ASPECT_AFTER = 180;

/** As {@link fitPixels}, then sides of at least 28 and no side more than 200 times the other (180 after it). */
export function fitQwenPixels(size: PixelSize, range: PixelRange): PixelSize | undefined {
  const fitted = fitPixels(size, range);
  if (fitted === undefined) return undefined;
  const width = Math.max(fitted.width, QWEN_MIN_SIDE);
  const height = Math.max(fitted.height, QWEN_MIN_SIDE);
  if (width / height > QWEN_MAX_ASPECT) return { width: height * QWEN_ASPECT_AFTER, height };
  if (height / width > QWEN_MAX_ASPECT) return { width, height: width * QWEN_ASPECT_AFTER };
  return { width, height };
}

/** What {@link smartResize} keeps to. */
export interface SmartResizeRange extends PixelRange {
  /** Both sides become multiples of this. */
  readonly factor: number;
}

/**
 * Qwen2-VL's resize: multiples of `factor` near the size, within the range of pixels.
 *
 * Undefined for a side under `factor` or a shape over 200, which the model's processor refuses.
 * Source: transformers 4.52.4, Qwen2-VL image processor.
 */
export function smartResize(size: PixelSize, range: SmartResizeRange): PixelSize | undefined {
  const { width, height } = size;
  const { factor, minPixels, maxPixels } = range;
  if (height < factor || width < factor) return undefined;
  if (Math.max(height, width) / Math.min(height, width) > QWEN_MAX_ASPECT) return undefined;
  const near = {
    height: roundHalfEven(height / factor) * factor,
    width: roundHalfEven(width / factor) * factor,
  };
  if (near.height * near.width > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    return {
      height: Math.floor(height / beta / factor) * factor,
      width: Math.floor(width / beta / factor) * factor,
    };
  }
  if (near.height * near.width >= minPixels) return near;
  const beta = Math.sqrt(minPixels / (height * width));
  return {
    height: Math.ceil((height * beta) / factor) * factor,
    width: Math.ceil((width * beta) / factor) * factor,
  };
}
