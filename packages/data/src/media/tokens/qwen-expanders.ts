/** Qwen2-VL, Qwen2.5-VL, Qwen2-Audio and Qwen2.5-Omni. Source: LLaMA-Factory v0.9.3, mm_plugin. */
import type { AudioMeasure, ImageMeasure, VideoMeasure } from '../media-types.js';
import {
  type ExpandedMedium,
  heardSamples,
  imageRange,
  imageSizeOf,
  type MediaExpander,
  type PatchGrid,
  type ResolvedSettings,
  tooNarrow,
  videoRange,
} from './plugin.js';
import { countField, type ProcessorConfig } from './processor-config.js';
import { fitQwenPixels, type PixelSize, smartResize } from './resize.js';
import { audioFeatures, type HearingConfig, melFrames, sampleFrames } from './sampling.js';

interface Eyes {
  readonly patchSize: number;
  readonly mergeSize: number;
  readonly temporalPatchSize: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

interface Marks {
  readonly begin: string;
  readonly end: string;
  readonly image: string;
  readonly video: string;
}

/** Qwen2-VL and Qwen2.5-VL. */
export function qwenVlExpander(settings: ResolvedSettings): MediaExpander {
  return qwenEyes(settings, {
    begin: '<|vision_start|>',
    end: '<|vision_end|>',
    image: '<|image_pad|>',
    video: '<|video_pad|>',
  });
}

/** Qwen2-Audio. */
export function qwenAudioExpander(settings: ResolvedSettings): MediaExpander {
  // 30 seconds, as Whisper hears.
  return { audio: qwenEars(settings, 480_000) };
}

const OMNI_MARKS: Marks = {
  begin: '<|vision_bos|>',
  end: '<|vision_eos|>',
  image: '<|IMAGE|>',
  video: '<|VIDEO|>',
};

/** Qwen2.5-Omni. */
export function qwenOmniExpander(settings: ResolvedSettings): MediaExpander {
  const eyes = qwenEyes(settings, OMNI_MARKS);
  // 300 seconds.
  const audio = qwenEars(settings, 4_800_000);
  if (!settings.useAudioInVideo) return { ...eyes, audio };
  const { mergeSize } = readEyes(settings.processor);
  const videoWithAudio = (video: VideoMeasure, sound: AudioMeasure) =>
    interleave(eyes.video(video), audio(sound), mergeSize);
  return { ...eyes, audio, videoWithAudio };
}

function readEyes(processor: ProcessorConfig): Eyes {
  const size = (processor['size'] ?? {}) as ProcessorConfig;
  const range = {
    minPixels: countField(size, 'shortest_edge', 56 * 56),
    maxPixels: countField(size, 'longest_edge', 28 * 28 * 16384),
  };
  return {
    patchSize: countField(processor, 'patch_size', 14),
    mergeSize: countField(processor, 'merge_size', 2),
    temporalPatchSize: countField(processor, 'temporal_patch_size', 2),
    minPixels: countField(processor, 'min_pixels', range.minPixels),
    maxPixels: countField(processor, 'max_pixels', range.maxPixels),
  };
}

function qwenEyes(
  settings: ResolvedSettings,
  marks: Marks,
): Required<Pick<MediaExpander, 'image' | 'video'>> {
  const eyes = readEyes(settings.processor);
  const wrap = (token: string, grid: PatchGrid): ExpandedMedium => {
    const tokens = Math.floor((grid[0] * grid[1] * grid[2]) / eyes.mergeSize ** 2);
    return { text: marks.begin + token.repeat(tokens) + marks.end, tokens, grid };
  };
  return {
    image: (image: ImageMeasure) => {
      const size = imageSizeOf(image, settings);
      const fitted = fitQwenPixels(size, imageRange(settings)) ?? tooNarrow(size);
      return wrap(marks.image, [1, ...patchGrid(fitted, eyes)]);
    },
    video: (video: VideoMeasure) => {
      const fitted = fitQwenPixels(video, videoRange(settings)) ?? tooNarrow(video);
      const { frames, fps } = sampleFrames(video, {
        fps: settings.videoFps,
        maxFrames: settings.videoMaxFrames,
      });
      // The last picture is repeated until the number is even.
      const even = frames + (frames % 2);
      const time = Math.ceil(even / eyes.temporalPatchSize);
      const expanded = wrap(marks.video, [time, ...patchGrid(fitted, eyes)]);
      return { ...expanded, secondsPerGrid: eyes.temporalPatchSize / fps };
    },
  };
}

function patchGrid(size: PixelSize, eyes: Eyes): readonly [height: number, width: number] {
  const { patchSize, mergeSize, minPixels, maxPixels } = eyes;
  const range = { factor: patchSize * mergeSize, minPixels, maxPixels };
  const resized = smartResize(size, range) ?? tooNarrow(size);
  return [Math.floor(resized.height / patchSize), Math.floor(resized.width / patchSize)];
}

function qwenEars(settings: ResolvedSettings, maxSamples: number) {
  const { processor, audioSamplingRate: sampleRate } = settings;
  const hearing: HearingConfig = {
    sampleRate,
    hopLength: countField(processor, 'hop_length', 160),
    maxSamples: countField(processor, 'n_samples', maxSamples),
  };
  return (audio: AudioMeasure): ExpandedMedium => {
    const tokens = audioFeatures(melFrames(heardSamples(audio, settings), hearing));
    return { text: `<|audio_bos|>${'<|AUDIO|>'.repeat(tokens)}<|audio_eos|>`, tokens };
  };
}

/** Steps of time per second, and how many of them go together. */
const STEPS_PER_SECOND = 25;
const STEPS_PER_CHUNK = 50;

/** The features of a video and of its sound, two seconds of each in turn. */
function interleave(
  { grid = [0, 0, 0], secondsPerGrid = 0, tokens }: ExpandedMedium,
  audio: ExpandedMedium,
  mergeSize: number,
): ExpandedMedium {
  const perStep = Math.floor(grid[1] / mergeSize) * Math.floor(grid[2] / mergeSize);
  // The reference computes times in 32-bit floats.
  const seconds = Math.fround(secondsPerGrid);
  const timeOf = (place: number) => {
    const step = Math.fround(Math.floor(place / perStep) * seconds);
    return Math.trunc(Math.fround(step * STEPS_PER_SECOND));
  };
  const pictures = chunkLengths(perStep * grid[0], timeOf);
  const sounds = chunkLengths(audio.tokens, (place) => place);
  let text = '<|vision_bos|><|audio_bos|>';
  for (let i = 0; i < Math.max(pictures.length, sounds.length); i++) {
    text += OMNI_MARKS.video.repeat(pictures[i] ?? 0) + '<|AUDIO|>'.repeat(sounds[i] ?? 0);
  }
  text += '<|audio_eos|><|vision_eos|>';
  return { text, tokens: tokens + audio.tokens, grid, secondsPerGrid };
}

/** Places per chunk; as in the reference, one place ends at most one chunk. */
function chunkLengths(places: number, timeOf: (place: number) => number): number[] {
  const lengths: number[] = [];
  let begin = 0;
  for (let place = 0; place < places; place++) {
    if (timeOf(place) < (lengths.length + 1) * STEPS_PER_CHUNK) continue;
    lengths.push(place - begin);
    begin = place;
  }
  lengths.push(places - begin);
  return lengths;
}
