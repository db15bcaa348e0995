/** Which pictures of a video and how many places of a sound a model gets. Pure functions of lengths. */
import type { VideoMeasure } from '../media-types.js';

/** How videos are sampled. */
export interface VideoSampling {
  /** Pictures per second. */
  readonly fps: number;
  /** Most pictures. */
  readonly maxFrames: number;
}

/** What sampling gives. */
export interface SampledFrames {
  /** Pictures that are decoded. */
  readonly frames: number;
  /** Pictures per second among them, which models that know about time are told. */
  readonly fps: number;
}

/**
 * Pictures that LLaMA-Factory v0.9.3 takes from a video: `fps` per second, evenly spread, at most `maxFrames`.
 *
 * A container without a count of its pictures (WebM, fragmented MP4) gives its first `maxFrames` instead. A list of
 * pictures is taken as it is.
 */
export function sampleFrames(video: VideoMeasure, sampling: VideoSampling): SampledFrames {
  const { fps, maxFrames } = sampling;
  if (video.format === 'frames') return { frames: video.frames, fps };
  const { declaredFrames, declaredSeconds } = video;
  const wanted = wantedFrames(video, sampling);
  return {
    frames: declaredFrames === 0 ? Math.min(video.frames, maxFrames) : wanted,
    fps: declaredSeconds === null ? fps : wanted / declaredSeconds,
  };
}

function wantedFrames(video: VideoMeasure, { fps, maxFrames }: VideoSampling): number {
  const { declaredFrames, declaredSeconds } = video;
  if (declaredFrames === 0) return maxFrames;
  const byTime = Math.max(1, Math.floor((declaredSeconds ?? 0) * fps));
  return Math.min(declaredFrames, maxFrames, byTime);
}

/** What a Whisper-like feature extractor does with time. */
export interface HearingConfig {
  /** Hz that sounds are brought to. */
  readonly sampleRate: number;
  /** Samples between two spectra. */
  readonly hopLength: number;
  /** Most samples; the rest is cut off. */
  readonly maxSamples: number;
}

/** Samples after bringing a sound to another rate, as librosa counts them. */
export function resampledLength(samples: number, fromRate: number, toRate: number): number {
  return fromRate === toRate ? samples : Math.ceil(samples * (toRate / fromRate));
}

/** Spectra of a sound that has `samples` at the extractor's rate. */
export function melFrames(samples: number, { hopLength, maxSamples }: HearingConfig): number {
  return Math.ceil(Math.min(samples, maxSamples) / hopLength);
}

/** Places of a sound in Qwen2-Audio: a convolution of stride 2, then pooling by 2. */
export function audioFeatures(frames: number): number {
  const convolved = Math.floor((frames - 1) / 2) + 1;
  return Math.max(0, Math.floor((convolved - 2) / 2) + 1);
}
