/** LLaVA-1.5, LLaVA-NeXT and their video models. Source: LLaMA-Factory v0.9.3, mm_plugin. */
import type { VideoMeasure } from '../media-types.js';
import {
  type ExpandedMedium,
  fittedImage,
  type MediaExpander,
  patchSizeOf,
  type ResolvedSettings,
} from './plugin.js';
import {
  type ProcessorConfig,
  pinpointsField,
  type Resolution,
  sidesField,
} from './processor-config.js';
import type { PixelSize } from './resize.js';
import { sampleFrames } from './sampling.js';
import { anyResolutionFeatures } from './tiles.js';

const IMAGE = '<image>';
const VIDEO = '<video>';

/** LLaVA-1.5: every picture is cropped to one square. */
export function llavaExpander(settings: ResolvedSettings): MediaExpander {
  const { patches, additional, dropped } = readTower(settings, 336);
  const tokens = patches + additional - dropped;
  return {
    image: (image) => {
      fittedImage(image, settings);
      return repeat(IMAGE, tokens);
    },
  };
}

/** Shapes of llava-v1.6 models. */
const NEXT_PINPOINTS: readonly Resolution[] = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
];

/** LLaVA-NeXT: the whole picture and tiles of it in the best of several shapes. */
export function llavaNextExpander(settings: ResolvedSettings): MediaExpander {
  const { tile, patchSize, additional, dropped } = readTower(settings, 336);
  const { processor } = settings;
  const pinpoints = pinpointsField(processor, 'image_grid_pinpoints', NEXT_PINPOINTS);
  const config = { pinpoints, tile, patchSize, additionalTokens: additional };
  return {
    image: (image) => {
      const size = fittedImage(image, settings);
      return repeat(IMAGE, anyResolutionFeatures(size, config) - dropped);
    },
  };
}

/** LLaVA-NeXT-Video: pictures as above; videos with a quarter of the patches per picture. */
export function llavaNextVideoExpander(settings: ResolvedSettings): MediaExpander {
  const { patches } = readTower(settings, 336);
  const perFrame = Math.floor(patches / 4);
  return {
    ...llavaNextExpander(settings),
    video: (video) => repeat(VIDEO, perFrame * framesOf(video, settings)),
  };
}

/** Video-LLaVA. */
export function videoLlavaExpander(settings: ResolvedSettings): MediaExpander {
  const { patches, additional, dropped } = readTower(settings, 224);
  const perFrame = patches + additional;
  return {
    image: (image) => {
      fittedImage(image, settings);
      return repeat(IMAGE, perFrame - dropped);
    },
    video: (video) => repeat(VIDEO, perFrame * framesOf(video, settings)),
  };
}

interface Tower {
  readonly tile: PixelSize;
  readonly patchSize: number;
  /** Patches of one tile. */
  readonly patches: number;
  /** Places that the tower adds: its class token. */
  readonly additional: number;
  /** Places that the model then leaves out: the class token again. */
  readonly dropped: number;
}

function readTower(settings: ResolvedSettings, side: number): Tower {
  const { processor } = settings;
  const tile = sidesField(
    processor,
    processor['crop_size'] === undefined ? 'size' : 'crop_size',
    side,
  );
  const patchSize = patchSizeOf(settings, 14);
  const patches = Math.floor(tile.height / patchSize) * Math.floor(tile.width / patchSize);
  const keepsAll = processor['vision_feature_select_strategy'] === 'full';
  return {
    tile,
    patchSize,
    patches,
    additional: additionalOf(processor),
    dropped: keepsAll ? 0 : 1,
  };
}

/** Absent in older directories; 1 in those of every CLIP tower. */
function additionalOf(processor: ProcessorConfig): number {
  const value = processor['num_additional_image_tokens'];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 1;
}

function framesOf(video: VideoMeasure, { videoFps, videoMaxFrames }: ResolvedSettings): number {
  return sampleFrames(video, { fps: videoFps, maxFrames: videoMaxFrames }).frames;
}

function repeat(token: string, tokens: number): ExpandedMedium {
  return { text: token.repeat(tokens), tokens };
}
