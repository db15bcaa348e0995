/** InternVL, Gemma 3, PaliGemma, Pixtral, Llama 3.2 Vision and MiniCPM-V. Source: LLaMA-Factory v0.9.3, mm_plugin. */
import type { VideoMeasure } from '../media-types.js';
import { slicedGrid } from './minicpm-slices.js';
import {
  type ExpandedMedium,
  fittedImage,
  type MediaExpander,
  patchSizeOf,
  type ResolvedSettings,
  tooNarrow,
  videoRange,
} from './plugin.js';
import { countField, sidesField } from './processor-config.js';
import { fitPixels } from './resize.js';
import { sampleFrames } from './sampling.js';
import { panAndScanCrops, tileCount } from './tiles.js';

/** InternVL 2.5 and 3 as in transformers: one tile, or up to 12 and a small picture of the whole. */
export function internVlExpander(settings: ResolvedSettings): MediaExpander {
  const { processor, cropToPatches } = settings;
  const perTile = countField(processor, 'image_seq_length', 256);
  const choice = {
    tile: sidesField(processor, 'size', 448),
    minTiles: countField(processor, 'min_patches', 1),
    maxTiles: countField(processor, 'max_patches', 12),
  };
  const tiles = (count: number) => `<img>${'<IMG_CONTEXT>'.repeat(perTile * count)}</img>`;
  return {
    image: (image) => {
      const size = fittedImage(image, settings);
      const count = cropToPatches ? tileCount(size, choice) : 1;
      return { text: tiles(count), tokens: perTile * count };
    },
    video: (video) => {
      const frames = framesOf(video, settings);
      const lines = Array.from({ length: frames }, (_, i) => `Frame${i + 1}: ${tiles(1)}`);
      return { text: lines.join('\n'), tokens: perTile * frames };
    },
  };
}

/** How LLaMA-Factory asks Gemma 3 to cut. */
const PAN_AND_SCAN = { minCropSize: 256, maxCrops: 4, minRatio: 1.2 };

/** Gemma 3. */
export function gemma3Expander(settings: ResolvedSettings): MediaExpander {
  const { processor, panAndScan } = settings;
  const perImage = countField(processor, 'image_seq_length', 256);
  const soft = '<image_soft_token>'.repeat(perImage);
  const whole = `\n\n<start_of_image>${soft}<end_of_image>\n\n`;
  return {
    image: (image) => {
      const size = fittedImage(image, settings);
      if (!panAndScan) return { text: whole, tokens: perImage };
      const crops = panAndScanCrops(size, PAN_AND_SCAN);
      const parts = Array.from({ length: crops }, () => whole).join(' ');
      const text = `Here is the original image ${whole} and here are some crops to help you see better ${parts}`;
      return { text, tokens: perImage * (crops + 1) };
    },
  };
}

/** PaliGemma: the placeholder goes away and the features stand in front of the sample. */
export function paliGemmaExpander(settings: ResolvedSettings): MediaExpander {
  const count = countField(settings.processor, 'image_seq_length', 256);
  return {
    image: (image) => {
      fittedImage(image, settings);
      return { text: '', tokens: count };
    },
    prefix: { token: '<image>', count },
  };
}

/** Pixtral and Mistral Small 3.1: a break after each row of patches. */
export function pixtralExpander(settings: ResolvedSettings): MediaExpander {
  const { processor } = settings;
  const patch = patchSizeOf(settings, 16);
  const longest = sidesField(processor, 'size', 1024);
  const side = patch * countField(processor, 'spatial_merge_size', 1);
  return {
    image: (image) => {
      let { width, height } = fittedImage(image, settings);
      const ratio = Math.max(height / longest.height, width / longest.width);
      if (ratio > 1) [width, height] = [Math.floor(width / ratio), Math.floor(height / ratio)];
      const columns = Math.floor((Math.ceil(width / patch) * patch) / side);
      const rows = Math.floor((Math.ceil(height / patch) * patch) / side);
      const row = '[IMG]'.repeat(columns);
      const text = `${`${row}[IMG_BREAK]`.repeat(rows - 1)}${row}[IMG_END]`;
      return { text, tokens: rows * columns };
    },
  };
}

/** Llama 3.2 Vision: one token, at which the text attends to the picture. */
export function mllamaExpander(settings: ResolvedSettings): MediaExpander {
  return {
    image: (image) => {
      fittedImage(image, settings);
      return { text: '<|image|>', tokens: 1 };
    },
  };
}

/** MiniCPM-V 2.6 and MiniCPM-o 2.6: the whole picture in 64 places, and 64 for each of up to 9 slices. */
export function miniCpmExpander(settings: ResolvedSettings): MediaExpander {
  const { processor } = settings;
  const perSlice = countField(processor, 'image_feature_size', 64);
  const resolution = countField(processor, 'scale_resolution', 448);
  const maxSlices = countField(processor, 'max_slice_nums', 9);
  const usesId = processor['use_image_id'] !== false;
  const unknown = '<unk>'.repeat(perSlice);
  const slice = `<slice>${unknown}</slice>`;
  const picture = (size: { width: number; height: number }, most: number): ExpandedMedium => {
    const grid = slicedGrid(size, { resolution, maxSlices: most });
    const { rows, columns } = grid ?? { rows: 0, columns: 0 };
    const lines = Array.from({ length: rows }, () => slice.repeat(columns)).join('\n');
    const tokens = perSlice * (1 + rows * columns);
    return { text: `<image>${unknown}</image>${lines}`, tokens };
  };
  return {
    image: (image, index) => {
      const made = picture(fittedImage(image, settings), maxSlices);
      return usesId ? { ...made, text: `<image_id>${index}</image_id>${made.text}` } : made;
    },
    video: (video) => {
      const size = fitPixels(video, videoRange(settings)) ?? tooNarrow(video);
      const { text, tokens } = picture(size, MAX_VIDEO_SLICES);
      const frames = framesOf(video, settings);
      return { text: text.repeat(frames), tokens: tokens * frames };
    },
    apart: ['image', 'video'],
  };
}

const MAX_VIDEO_SLICES = 2;

function framesOf(video: VideoMeasure, { videoFps, videoMaxFrames }: ResolvedSettings): number {
  return sampleFrames(video, { fps: videoFps, maxFrames: videoMaxFrames }).frames;
}
