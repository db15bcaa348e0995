/** From a sound or video file to its sizes and lengths. */
import {
  ADTS,
  BufferSource,
  FilePathSource,
  FLAC,
  Input,
  type InputAudioTrack,
  type InputVideoTrack,
  Logging,
  LogLevel,
  MATROSKA,
  MP3,
  MP4,
  MPEG_TS,
  OGG,
  QTFF,
  WAVE,
  WEBM,
} from 'mediabunny';
import type { AudioMeasure, MediaFormat, VideoMeasure } from '../media-types.js';
import { type AviTrack, aviTracks } from './avi-header.js';
import { walkBoxes } from './box-walk.js';
import type { ByteSource } from './byte-source.js';
import type { MediaLimits } from './limits.js';
import { MediaFault } from './media-fault.js';
import { mp3Samples } from './mp3-length.js';

// A list of its own: the library's full one has playlists, which name other files.
const FORMATS = [MP4, QTFF, MATROSKA, WEBM, MP3, WAVE, OGG, ADTS, FLAC, MPEG_TS];

// The library prints about codecs that it cannot decode; nothing here decodes.
Logging.level = LogLevel.Silent;

/** What is measured and how far. */
export interface TrackRequest {
  readonly format: MediaFormat;
  readonly limits: MediaLimits;
}

/**
 * Measures the first picture track of a file; every packet is visited, none is decoded.
 *
 * Throws: {@link MediaFault} when the file is damaged, has no such track or is past a limit.
 */
export async function measureVideo(
  source: ByteSource,
  request: TrackRequest,
): Promise<VideoMeasure> {
  const measure =
    request.format === 'avi'
      ? await measureAviVideo(source)
      : await withInput(source, request, (input) => readVideo(input, source, request));
  return checkVideo(measure, request.limits);
}

async function readVideo(
  input: Input,
  source: ByteSource,
  { format, limits }: TrackRequest,
): Promise<VideoMeasure> {
  const [track] = await input.getVideoTracks();
  if (track === undefined) throw new MediaFault('media_unreadable', 'it has no picture track');
  const isIso = format === 'mp4' || format === 'mov';
  const boxes = isIso ? await walkBoxes(source) : undefined;
  checkSeconds((await track.getDurationFromMetadata()) ?? 0, limits.videoSeconds);
  const { packetCount } = await track.computePacketStats();
  if (packetCount === 0) throw new MediaFault('media_unreadable', 'its picture track is empty');
  const seconds = await lengthOf(track);
  const { name } = await input.getFormat();
  return {
    kind: 'video',
    format: name === 'WebM' ? 'webm' : format,
    width: await track.getCodedWidth(),
    height: await track.getCodedHeight(),
    rotation: await track.getRotation(),
    frames: packetCount,
    declaredFrames: boxes?.isFragmented === false ? packetCount : 0,
    seconds: boxes?.videoSeconds ?? seconds,
    declaredSeconds: boxes?.videoSeconds ?? (isIso || format === 'mpeg-ts' ? seconds : null),
  };
}

async function measureAviVideo(source: ByteSource): Promise<VideoMeasure> {
  const track = await aviTrack(source, 'video');
  const { width, height, length, seconds } = track;
  const lengths = { frames: length, declaredFrames: length, seconds, declaredSeconds: seconds };
  return { kind: 'video', format: 'avi', width, height, rotation: 0, ...lengths };
}

function checkVideo(measure: VideoMeasure, limits: MediaLimits): VideoMeasure {
  const { width, height, frames, seconds } = measure;
  const hasSize = width > 0 && height > 0 && frames > 0;
  if (!hasSize) {
    const found = `${frames} frames of ${width}×${height} pixels`;
    throw new MediaFault('media_unreadable', `it says that it has ${found}`);
  }
  if (width * height > limits.imagePixels) {
    const found = `its frames have ${width}×${height} pixels`;
    throw new MediaFault('media_unreadable', `${found}; the limit is ${limits.imagePixels}`);
  }
  checkSeconds(seconds ?? 0, limits.videoSeconds);
  return measure;
}

/**
 * Measures the first sound track of a file.
 *
 * WAV, FLAC, Ogg and MP3 with LAME's header are exact to the sample; in other files an encoder's padding counts too.
 *
 * Throws: {@link MediaFault} when the file is damaged, has no such track or is past a limit.
 */
export async function measureAudio(
  source: ByteSource,
  request: TrackRequest,
): Promise<AudioMeasure> {
  const measure =
    request.format === 'avi'
      ? await measureAviAudio(source)
      : await withInput(source, request, (input) => readAudio(input, source, request));
  const { channels, sampleRate, samples, seconds } = measure;
  if (samples < 1 || channels < 1 || sampleRate < 1) {
    const found = `${samples} samples of ${channels} channels at ${sampleRate} Hz`;
    throw new MediaFault('media_unreadable', `it says that it has ${found}`);
  }
  checkSeconds(seconds, request.limits.audioSeconds);
  return measure;
}

async function readAudio(
  input: Input,
  source: ByteSource,
  { format, limits }: TrackRequest,
): Promise<AudioMeasure> {
  const [track] = await input.getAudioTracks();
  if (track === undefined) throw new MediaFault('media_unreadable', 'it has no sound track');
  if (format === 'mp4' || format === 'mov') await walkBoxes(source);
  checkSeconds((await track.getDurationFromMetadata()) ?? 0, limits.audioSeconds);
  const sampleRate = await track.getSampleRate();
  const told = format === 'mp3' ? await mp3Samples(source) : undefined;
  const samples = told ?? Math.round((await lengthOf(track)) * sampleRate);
  const channels = await track.getNumberOfChannels();
  return { kind: 'audio', format, sampleRate, channels, samples, seconds: samples / sampleRate };
}

async function measureAviAudio(source: ByteSource): Promise<AudioMeasure> {
  const { channels, sampleRate, seconds } = await aviTrack(source, 'audio');
  const samples = Math.round(seconds * sampleRate);
  return { kind: 'audio', format: 'avi', sampleRate, channels, samples, seconds };
}

async function aviTrack(source: ByteSource, type: AviTrack['type']): Promise<AviTrack> {
  try {
    const found = (await aviTracks(source)).find((track) => track.type === type);
    if (found !== undefined) return found;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MediaFault('media_unreadable', 'the avi is damaged: it is cut off');
  }
  const name = type === 'video' ? 'picture' : 'sound';
  throw new MediaFault('media_unreadable', `it has no ${name} track`);
}

/** Seconds from the first packet to the end of the last, as a whole number of the track's ticks. */
async function lengthOf(track: InputVideoTrack | InputAudioTrack): Promise<number> {
  const length = (await track.computeDuration()) - (await track.getFirstTimestamp());
  const ticks = await track.getTimeResolution();
  return Math.round(length * ticks) / ticks;
}

function checkSeconds(seconds: number, limit: number): void {
  if (seconds <= limit) return;
  const found = `it lasts ${seconds.toFixed(1)} seconds`;
  throw new MediaFault('media_unreadable', `${found}; the limit is ${limit}`);
}

async function withInput<T>(
  source: ByteSource,
  { format, limits }: TrackRequest,
  measure: (input: Input) => Promise<T>,
): Promise<T> {
  if (source.bytes > limits.trackBytes) {
    const found = `it has ${source.bytes} bytes`;
    throw new MediaFault('media_unreadable', `${found}; the limit is ${limits.trackBytes}`);
  }
  const content = source.path === undefined ? await source.read(0, source.bytes) : undefined;
  const input = new Input({
    source:
      content === undefined ? new FilePathSource(source.path ?? '') : new BufferSource(content),
    formats: FORMATS,
  });
  try {
    return await measure(input);
  } catch (error) {
    if (error instanceof MediaFault) throw error;
    // The library throws plain errors of many kinds for damaged content; all of them mean the same here.
    const why = error instanceof Error ? error.message : String(error);
    throw new MediaFault('media_unreadable', `the ${format} is damaged: ${why}`);
  } finally {
    input.dispose();
  }
}
