/** What a media plugin is: from measured media to the text that stands for them in a prompt. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../../errors.js';
import { MediaFault } from '../measure/media-fault.js';
import type { AudioMeasure, ImageMeasure, MediaKind, VideoMeasure } from '../media-types.js';
import { countField, type ProcessorConfig } from './processor-config.js';
import { fitPixels, type PixelRange, type PixelSize } from './resize.js';
import { resampledLength } from './sampling.js';

/** Names as in LLaMA-Factory. */
export const MEDIA_PLUGIN_NAMES = [
  'qwen2_vl',
  'qwen2_audio',
  'qwen2_omni',
  'llava',
  'llava_next',
  'llava_next_video',
  'video_llava',
  'intern_vl',
  'gemma3',
  'paligemma',
  'pixtral',
  'mllama',
  'minicpm_v',
] as const;

/** One of {@link MEDIA_PLUGIN_NAMES}. */
export type MediaPluginName = (typeof MEDIA_PLUGIN_NAMES)[number];

/** Everything that decides how media become text. Plain JSON, so it can go to a worker. */
export interface MediaPluginSettings {
  readonly plugin: MediaPluginName;
  /** From {@link readProcessorConfig}; each plugin has the numbers of its best-known model where a field is absent. */
  readonly processor?: ProcessorConfig;
  /** Pictures are shrunk to this many pixels; default 768². */
  readonly imageMaxPixels?: number;
  /** Pictures are enlarged to this many pixels; default 32². */
  readonly imageMinPixels?: number;
  /** The same for each picture of a video; default 256². */
  readonly videoMaxPixels?: number;
  /** Default 16². */
  readonly videoMinPixels?: number;
  /** Pictures per second taken from a video; default 2. */
  readonly videoFps?: number;
  /** Most pictures of a video; default 128. */
  readonly videoMaxFrames?: number;
  /** Hz that sounds are brought to; default 16,000. */
  readonly audioSamplingRate?: number;
  /** InternVL: cut pictures into up to 12 tiles; default false. */
  readonly cropToPatches?: boolean;
  /** Gemma 3: add parts of long pictures; default false. */
  readonly panAndScan?: boolean;
  /** Qwen2.5-Omni: a sound is that of the video before it, and both are interleaved; default false. */
  readonly useAudioInVideo?: boolean;
  /** Turn pictures by their EXIF orientation before they are measured; default false, as in LLaMA-Factory v0.9.3. */
  readonly applyOrientation?: boolean;
}

/** Settings with every default filled in. */
export type ResolvedSettings = Required<MediaPluginSettings>;

/** Fills in the defaults of LLaMA-Factory v0.9.3. Throws: `DATA_BAD_OPTION` for a number out of range. */
export function resolveSettings(settings: MediaPluginSettings): ResolvedSettings {
  const resolved: ResolvedSettings = {
    processor: {},
    imageMaxPixels: 768 * 768,
    imageMinPixels: 32 * 32,
    videoMaxPixels: 256 * 256,
    videoMinPixels: 16 * 16,
    videoFps: 2,
    videoMaxFrames: 128,
    audioSamplingRate: 16_000,
    cropToPatches: false,
    panAndScan: false,
    useAudioInVideo: false,
    applyOrientation: false,
    ...settings,
  };
  for (const name of NUMBERS) {
    const value = resolved[name];
    const isCount = Number.isSafeInteger(value) || name === 'videoFps';
    if (!(value > 0 && Number.isFinite(value) && isCount)) {
      throw badOption(`'${name}' is ${value}; expected a positive number`);
    }
  }
  if (resolved.imageMaxPixels < resolved.imageMinPixels) throw badRange('image', resolved);
  if (resolved.videoMaxPixels < resolved.videoMinPixels) throw badRange('video', resolved);
  return resolved;
}

const NUMBERS = [
  'imageMaxPixels',
  'imageMinPixels',
  'videoMaxPixels',
  'videoMinPixels',
  'videoFps',
  'videoMaxFrames',
  'audioSamplingRate',
] as const;

function badRange(kind: 'image' | 'video', settings: ResolvedSettings): TuneyardError {
  const most = settings[`${kind}MaxPixels`];
  const least = settings[`${kind}MinPixels`];
  return badOption(`'${kind}MaxPixels' is ${most}, less than '${kind}MinPixels', ${least}`);
}

function badOption(what: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `media: ${what}`);
}

/** Patches in time, down and across. */
export type PatchGrid = readonly [time: number, height: number, width: number];

/** What one placeholder becomes. */
export interface ExpandedMedium {
  readonly text: string;
  /** Places that the medium's features take among the tokens of the text. */
  readonly tokens: number;
  /** Qwen: patches before merging, which position ids are made from. */
  readonly grid?: PatchGrid;
  /** Qwen: seconds between two steps in time of a video. */
  readonly secondsPerGrid?: number;
}

/** Measured media of one conversation, each list in the order of its placeholders. */
export interface MeasuredMedia {
  readonly images: readonly ImageMeasure[];
  readonly videos: readonly VideoMeasure[];
  readonly audios: readonly AudioMeasure[];
}

/** What the placeholders of one conversation become. */
export interface ExpandedMedia {
  readonly images: readonly ExpandedMedium[];
  readonly videos: readonly ExpandedMedium[];
  readonly audios: readonly ExpandedMedium[];
}

/** How one model takes each kind; a kind without a function is refused. Functions throw {@link MediaFault}. */
export interface MediaExpander {
  /** `index` counts the pictures of the conversation from 0. */
  readonly image?: (image: ImageMeasure, index: number) => ExpandedMedium;
  readonly video?: (video: VideoMeasure) => ExpandedMedium;
  readonly audio?: (audio: AudioMeasure) => ExpandedMedium;
  /** A video and its own sound, which take one text together. */
  readonly videoWithAudio?: (video: VideoMeasure, audio: AudioMeasure) => ExpandedMedium;
  /** A token that goes in front of the whole sample, `count` times per picture, instead of text in its place. */
  readonly prefix?: { readonly token: string; readonly count: number };
  /** Kinds that may not stand in one conversation. */
  readonly apart?: readonly [MediaKind, MediaKind];
}

/** The size of a picture that a model starts from. */
export function imageSizeOf(
  image: ImageMeasure,
  { applyOrientation }: ResolvedSettings,
): PixelSize {
  const isTurned = applyOrientation && image.orientation >= 5;
  const { width, height } = image;
  return isTurned ? { width: height, height: width } : { width, height };
}

/** Pixels of pictures. */
export function imageRange(settings: ResolvedSettings): PixelRange {
  return { maxPixels: settings.imageMaxPixels, minPixels: settings.imageMinPixels };
}

/** Pixels of a video's pictures. */
export function videoRange(settings: ResolvedSettings): PixelRange {
  return { maxPixels: settings.videoMaxPixels, minPixels: settings.videoMinPixels };
}

/** The size after the first resize. Throws: {@link MediaFault} for a shape that leaves a side of 0. */
export function fittedImage(image: ImageMeasure, settings: ResolvedSettings): PixelSize {
  const size = imageSizeOf(image, settings);
  return fitPixels(size, imageRange(settings)) ?? tooNarrow(size);
}

/** Refuses a shape. */
export function tooNarrow({ width, height }: PixelSize): never {
  const found = `it is ${width}×${height} pixels`;
  throw new MediaFault('media_unreadable', `${found}, a shape that the model cannot take`);
}

/** Samples of a sound at the model's rate. */
export function heardSamples(audio: AudioMeasure, settings: ResolvedSettings): number {
  return resampledLength(audio.samples, audio.sampleRate, settings.audioSamplingRate);
}

/** A patch's side in pixels. */
export function patchSizeOf({ processor }: ResolvedSettings, fallback: number): number {
  const size = processor['patch_size'];
  return typeof size === 'object' && size !== null && !Array.isArray(size)
    ? countField(size as ProcessorConfig, 'height', fallback)
    : countField(processor, 'patch_size', fallback);
}
