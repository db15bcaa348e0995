import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileSource } from '../measure/byte-source.js';
import { DEFAULT_MEDIA_LIMITS } from '../measure/limits.js';
import { measureMedia } from '../measure/measure-media.js';
import type { AudioMeasure, ImageMeasure, VideoMeasure } from '../media-types.js';
import { slicedGrid } from './minicpm-slices.js';
import { mropePositions } from './mrope.js';
import { openMediaPlugin } from './open-media-plugin.js';
import type { MediaPluginName, MediaPluginSettings, PatchGrid } from './plugin.js';
import { roundHalfEven, smartResize } from './resize.js';
import { sampleFrames } from './sampling.js';
import { anyResolutionFeatures, bestResolution, closestGrid, panAndScanCrops } from './tiles.js';

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/media');
const readFixture = (name: string) => JSON.parse(readFileSync(join(FIXTURES, name), 'utf8'));

interface TextCase {
  readonly case: string;
  readonly content: string;
  readonly images: readonly (string | readonly [number, number])[];
  readonly videos: readonly (string | readonly (readonly [number, number])[])[];
  readonly audios: readonly (string | number)[];
  readonly text?: string;
  readonly error?: string;
  readonly prefix?: number;
  readonly image_grid_thw?: readonly PatchGrid[];
  readonly video_grid_thw?: readonly PatchGrid[];
  readonly second_per_grid_ts?: readonly number[];
}

/** Settings of each case of make_media_tokens.py. */
const SETTINGS: { readonly [name: string]: Partial<MediaPluginSettings> } = {
  qwen2_vl_large: {
    plugin: 'qwen2_vl',
    imageMaxPixels: 4096 * 4096,
    videoMaxPixels: 512 * 512,
    videoFps: 5,
    videoMaxFrames: 6,
  },
  intern_vl_tiles: { plugin: 'intern_vl', cropToPatches: true, imageMaxPixels: 2048 * 2048 },
  gemma3_crops: { plugin: 'gemma3', panAndScan: true, imageMaxPixels: 2048 * 2048 },
  pixtral: { imageMaxPixels: 2048 * 2048 },
  qwen2_omni_joined: { plugin: 'qwen2_omni', useAudioInVideo: true },
};

const settingsOf = (name: string): MediaPluginSettings => ({
  plugin: name as MediaPluginName,
  ...SETTINGS[name],
});

const limits = DEFAULT_MEDIA_LIMITS;

async function measureFile(name: string, kind: 'image' | 'video' | 'audio') {
  const source = await openFileSource(join(FIXTURES, 'files', name));
  const measure = await measureMedia(source, { kind, limits });
  await source.close();
  return measure;
}

const imageOf = (width: number, height: number): ImageMeasure => ({
  kind: 'image',
  format: 'png',
  width,
  height,
  orientation: 1,
});

const soundOf = (samples: number): AudioMeasure => ({
  kind: 'audio',
  format: 'wav',
  sampleRate: 16000,
  channels: 1,
  samples,
  seconds: samples / 16000,
});

const framesOf = (sizes: readonly (readonly [number, number])[]): VideoMeasure => ({
  kind: 'video',
  format: 'frames',
  width: sizes[0]![0],
  height: sizes[0]![1],
  rotation: 0,
  frames: sizes.length,
  declaredFrames: sizes.length,
  seconds: null,
  declaredSeconds: null,
});

async function measureCase(entry: TextCase) {
  const images = entry.images.map((item) =>
    typeof item === 'string' ? measureFile(item, 'image') : imageOf(item[0], item[1]),
  );
  const videos = entry.videos.map((item) =>
    typeof item === 'string' ? measureFile(item, 'video') : framesOf(item),
  );
  const audios = entry.audios.map((item) =>
    typeof item === 'string' ? measureFile(item, 'audio') : soundOf(item),
  );
  return {
    images: (await Promise.all(images)) as ImageMeasure[],
    videos: (await Promise.all(videos)) as VideoMeasure[],
    audios: (await Promise.all(audios)) as AudioMeasure[],
  };
}

/** Runs of one token as token*count, as the fixture has them. */
const shorten = (text: string) =>
  text.replaceAll(
    /(<[^<>\n]{1,24}>|\[IMG\])(\1+)/g,
    (run, token: string) => `${token}*${run.length / token.length}`,
  );

const countTokens = (text: string) =>
  (
    text.match(
      /<\|(image_pad|video_pad|AUDIO|IMAGE|VIDEO|image)\|>|<image>|<video>|<IMG_CONTEXT>|<image_soft_token>|\[IMG\]/g,
    ) ?? []
  ).length;

const textCases = readFixture('expanded-texts.json') as TextCase[];

describe('the text of placeholders is that of LLaMA-Factory 0.9.3', () => {
  const names = [...new Set(textCases.map((entry) => entry.case))];
  it.each(names)('%s, for sizes and files', async (name) => {
    const plugin = openMediaPlugin(settingsOf(name));
    for (const entry of textCases.filter((item) => item.case === name)) {
      const media = await measureCase(entry);
      expect(entry.error, entry.content).toBeUndefined();
      const expanded = plugin.expand(media);
      const queues = {
        '<image>': [...expanded.images],
        '<video>': [...expanded.videos],
        '<audio>': [...expanded.audios],
      };
      const text = entry.content.replaceAll(
        /<(image|video|audio)>/g,
        (mark) => queues[mark as keyof typeof queues].shift()?.text ?? mark,
      );
      expect(shorten(text), JSON.stringify(entry).slice(0, 200)).toBe(entry.text);
      const all = [...expanded.images, ...expanded.videos, ...expanded.audios];
      const tokens = all.reduce((sum, item) => sum + item.tokens, 0);
      if (entry.prefix !== undefined) {
        expect(plugin.prefix!.count * entry.images.length).toBe(entry.prefix);
      } else expect(countTokens(text)).toBe(tokens);
      if (entry.image_grid_thw !== undefined) {
        expect(expanded.images.map((item) => item.grid)).toEqual(entry.image_grid_thw);
      }
      if (entry.video_grid_thw !== undefined) {
        expect(expanded.videos.map((item) => item.grid)).toEqual(entry.video_grid_thw);
      }
      for (const [i, seconds] of (entry.second_per_grid_ts ?? []).entries()) {
        expect(expanded.videos[i]!.secondsPerGrid!).toBe(seconds);
      }
    }
  });
});

interface CountRow {
  readonly size: readonly [number, number];
  readonly qwen2_vl: readonly [number, number] | null;
  readonly llava_next: number;
  readonly best_resolution: readonly [number, number];
  readonly intern_vl: readonly [number, number];
  readonly gemma3_crops: number | null;
}

describe('sizes are those of transformers 4.52.4', () => {
  const { rows } = readFixture('token-counts.json') as { rows: CountRow[] };
  const pinpoints = [
    [336, 672],
    [672, 336],
    [672, 672],
    [1008, 336],
    [336, 1008],
  ] as const;
  const sizeOf = ({ size: [width, height] }: CountRow) => ({ width, height });

  it('covers hundreds of sizes', () => {
    expect(rows.length).toBeGreaterThan(400);
  });

  it('Qwen2-VL resizes alike', () => {
    for (const row of rows) {
      const range = { factor: 28, minPixels: 56 * 56, maxPixels: 28 * 28 * 1280 };
      const resized = smartResize(sizeOf(row), range);
      const found = resized === undefined ? null : [resized.height, resized.width];
      expect(found, row.size.join('×')).toEqual(row.qwen2_vl);
    }
  });

  it('LLaVA-NeXT chooses and counts alike', () => {
    for (const row of rows) {
      expect(bestResolution(sizeOf(row), pinpoints), row.size.join('×')).toEqual(
        row.best_resolution,
      );
      const tile = { width: 336, height: 336 };
      const config = { pinpoints, tile, patchSize: 14, additionalTokens: 1 };
      expect(anyResolutionFeatures(sizeOf(row), config), row.size.join('×')).toBe(row.llava_next);
    }
  });

  it('InternVL tiles alike', () => {
    for (const row of rows) {
      const tile = { width: 448, height: 448 };
      const grid = closestGrid(sizeOf(row), { tile, minTiles: 1, maxTiles: 12 });
      expect([grid.columns, grid.rows], row.size.join('×')).toEqual(row.intern_vl);
    }
  });

  it('Gemma 3 cuts alike', () => {
    for (const row of rows) {
      if (row.gemma3_crops === null) continue;
      const options = { minCropSize: 256, maxCrops: 4, minRatio: 1.2 };
      expect(panAndScanCrops(sizeOf(row), options), row.size.join('×')).toBe(row.gemma3_crops);
    }
  });

  it('rounds halves to even, as Python does', () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4, 2.6, 7].map(roundHalfEven)).toEqual([0, 2, 2, 4, 2, 3, 7]);
  });
});

it('takes as many pictures from videos of any length as LLaMA-Factory 0.9.3', () => {
  const { samplings } = readFixture('token-counts.json') as { samplings: number[][] };
  expect(samplings.length).toBeGreaterThan(300);
  for (const [frames, seconds, fps, most, taken] of samplings as [
    number,
    number,
    number,
    number,
    number,
  ][]) {
    // A container that counts no frames gives its first ones, here as many as there may be.
    const video = { ...framesOf([[9, 9]]), format: 'mp4', frames: frames || most } as const;
    const lengths = { declaredFrames: frames, seconds, declaredSeconds: seconds };
    const sampled = sampleFrames({ ...video, ...lengths }, { fps, maxFrames: most });
    expect(sampled.frames, `${frames} frames of ${seconds} s at ${fps}`).toBe(taken);
  }
});

describe('MiniCPM-V', () => {
  it('takes 640 places for 1344×1344, as its authors say, and 64 for a small picture', () => {
    const plugin = openMediaPlugin({ plugin: 'minicpm_v', imageMaxPixels: 4e6 });
    const media = { images: [imageOf(1344, 1344), imageOf(300, 200)], videos: [], audios: [] };
    const { images } = plugin.expand(media);
    expect(images.map(({ tokens }) => tokens)).toEqual([640, 64]);
    const unknown = '<unk>'.repeat(64);
    expect(images[1]!.text).toBe(`<image_id>1</image_id><image>${unknown}</image>`);
    const row = `<slice>${unknown}</slice>`.repeat(3);
    expect(images[0]!.text).toBe(
      `<image_id>0</image_id><image>${unknown}</image>${row}\n${row}\n${row}`,
    );
  });

  it('cuts wide pictures into columns', () => {
    const options = { resolution: 448, maxSlices: 9 };
    expect(slicedGrid({ width: 1200, height: 400 }, options)).toEqual({ rows: 1, columns: 3 });
    expect(slicedGrid({ width: 448, height: 448 }, options)).toBeUndefined();
  });

  it('refuses pictures beside videos', async () => {
    const plugin = openMediaPlugin({ plugin: 'minicpm_v' });
    const video = (await measureFile('mpeg4.mov', 'video')) as VideoMeasure;
    const media = { images: [imageOf(9, 9)], videos: [video], audios: [] };
    expect(() => plugin.expand(media)).toThrow('minicpm_v takes no image beside a video');
  });
});

describe('plugins', () => {
  it('refuse kinds that the model does not take', () => {
    const plugin = openMediaPlugin({ plugin: 'qwen2_audio' });
    const media = { images: [imageOf(9, 9)], videos: [], audios: [] };
    expect(() => plugin.expand(media)).toThrow('qwen2_audio takes no image');
  });

  it('read the numbers of the model directory', () => {
    const processor = { min_pixels: 4 * 28 * 28, max_pixels: 16 * 28 * 28 };
    const plugin = openMediaPlugin({ plugin: 'qwen2_vl', processor });
    const media = { images: [imageOf(700, 700)], videos: [], audios: [] };
    expect(plugin.expand(media).images[0]!.tokens).toBe(16);
    const bad = { plugin: 'qwen2_vl', processor: { patch_size: 0 } } as const;
    expect(() => openMediaPlugin(bad)).toThrow("'patch_size' of the processor is 0");
  });

  it('turn a picture by its EXIF orientation only when asked to', async () => {
    const image = (await measureFile('orientation-6.jpg', 'image')) as ImageMeasure;
    const media = { images: [image], videos: [], audios: [] };
    const gridOf = (applyOrientation: boolean) =>
      openMediaPlugin({ plugin: 'qwen2_vl', applyOrientation }).expand(media).images[0]!.grid;
    expect(gridOf(false)).toEqual([1, 4, 6]);
    expect(gridOf(true)).toEqual([1, 6, 4]);
  });

  it('name the plugins when one is unknown', () => {
    const settings = { plugin: 'qwen9' as MediaPluginName };
    expect(() => openMediaPlugin(settings)).toThrow("no media plugin 'qwen9'; known: qwen2_vl,");
  });

  it('refuse settings out of range', () => {
    const cases: [Partial<MediaPluginSettings>, string][] = [
      [{ videoFps: 0 }, "media: 'videoFps' is 0; expected a positive number"],
      [{ videoMaxFrames: 2.5 }, "media: 'videoMaxFrames' is 2.5"],
      [{ imageMaxPixels: Number.NaN }, "media: 'imageMaxPixels' is NaN"],
      [{ imageMaxPixels: 100 }, "media: 'imageMaxPixels' is 100, less than 'imageMinPixels', 1024"],
    ];
    for (const [settings, message] of cases) {
      expect(() => openMediaPlugin({ plugin: 'llava', ...settings })).toThrow(message);
    }
  });

  it('a video given as pictures is taken whole, made even', () => {
    const frames = framesOf(Array.from({ length: 5 }, () => [280, 140] as const));
    const plugin = openMediaPlugin({ plugin: 'qwen2_vl' });
    const [video] = plugin.expand({ images: [], videos: [frames], audios: [] }).videos;
    expect(video).toMatchObject({ grid: [3, 10, 20], tokens: 150, secondsPerGrid: 1 });
  });
});

interface RopeCase {
  readonly model: 'qwen2_vl' | 'qwen2_5_vl';
  readonly ids: readonly number[];
  readonly images: readonly PatchGrid[];
  readonly videos: readonly PatchGrid[];
  readonly seconds: readonly number[];
  readonly positions: readonly (readonly number[])[];
  readonly delta: number;
}

describe('position ids are those of transformers 4.52.4', () => {
  const cases = readFixture('mrope.json') as RopeCase[];
  it('for sequences of text, pictures and videos', () => {
    expect(cases.length).toBe(40);
    for (const entry of cases) {
      const steps = entry.seconds.map((seconds) =>
        entry.model === 'qwen2_vl' ? 1 : Math.trunc(seconds) * 2,
      );
      const { positions, delta } = mropePositions({
        ids: Int32Array.from(entry.ids),
        imageTokenId: 3,
        videoTokenId: 4,
        imageGrids: entry.images,
        videoGrids: entry.videos,
        videoSteps: steps,
      });
      expect([...positions]).toEqual(entry.positions.flat());
      expect(delta).toBe(entry.delta);
    }
  });

  it('refuses runs that do not fit their grids', () => {
    const input = { imageTokenId: 3, videoTokenId: 4, videoGrids: [] };
    const ids = Int32Array.of(1, 3, 3, 2);
    expect(() => mropePositions({ ...input, ids, imageGrids: [[1, 4, 4]] })).toThrow(
      'token 1: expected a run for the grid 1×4×4',
    );
    expect(() => mropePositions({ ...input, ids, imageGrids: [] })).toThrow('token 1: expected');
    const text = Int32Array.of(1, 2);
    expect(() => mropePositions({ ...input, ids: text, imageGrids: [[1, 2, 2]] })).toThrow(
      'token 2: expected as many media as grids',
    );
  });
});
