import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openMediaPlugin } from './open-media-plugin.js';
import type { MediaPluginSettings } from './plugin.js';
import { readProcessorConfig, sidesField } from './processor-config.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'processor-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, value: unknown) =>
  writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value));

async function tokensOf(settings: Omit<MediaPluginSettings, 'processor'>, side: number) {
  const plugin = openMediaPlugin({ ...settings, processor: await readProcessorConfig(dir) });
  const image = {
    kind: 'image',
    format: 'png',
    width: side,
    height: side,
    orientation: 1,
  } as const;
  return plugin.expand({ images: [image], videos: [], audios: [] }).images[0]!.tokens;
}

describe('a model directory', () => {
  it('without files leaves the numbers of the best-known model', async () => {
    expect(await readProcessorConfig(dir)).toEqual({});
    expect(await tokensOf({ plugin: 'llava' }, 500)).toBe(576);
  });

  it('of LLaVA 1.5 gives its crop, its patches and what it drops', async () => {
    write('preprocessor_config.json', {
      crop_size: { height: 224, width: 224 },
      size: { shortest_edge: 224 },
    });
    write('processor_config.json', {
      patch_size: 14,
      num_additional_image_tokens: 1,
      vision_feature_select_strategy: 'full',
    });
    expect(await tokensOf({ plugin: 'llava' }, 500)).toBe(257);
  });

  it('of LLaVA-NeXT may have its shapes in config.json', async () => {
    write('config.json', { image_grid_pinpoints: [[336, 336]], patch_size: 99 });
    // One tile, one part of 24 × 24 patches with a line end each, and neither class token.
    expect(await tokensOf({ plugin: 'llava_next' }, 336)).toBe(576 + 576 + 24);
  });

  it('of Qwen2.5-VL may have the range of pixels in size, or at the top', async () => {
    const size = { shortest_edge: 3136, longest_edge: 28 * 28 * 4 };
    write('preprocessor_config.json', { size });
    expect(await tokensOf({ plugin: 'qwen2_vl' }, 700)).toBe(4);
    write('preprocessor_config.json', { size, min_pixels: 3136, max_pixels: 28 * 28 * 9 });
    expect(await tokensOf({ plugin: 'qwen2_vl' }, 700)).toBe(9);
  });

  it('of newer transformers may nest the image processor', async () => {
    write('processor_config.json', {
      image_processor: { size: { height: 448, width: 448 } },
      image_seq_length: 64,
    });
    expect(await tokensOf({ plugin: 'intern_vl' }, 700)).toBe(64);
  });

  it('with a damaged file is refused', async () => {
    write('preprocessor_config.json', '{"size":');
    const code = 'DATA_BAD_MEDIA_CONFIG';
    await expect(readProcessorConfig(dir)).rejects.toMatchObject({ code });
    write('preprocessor_config.json', '[1]');
    await expect(readProcessorConfig(dir)).rejects.toMatchObject({ code });
    write('preprocessor_config.json', { image_grid_pinpoints: [[336]] });
    await expect(tokensOf({ plugin: 'llava_next' }, 336)).rejects.toMatchObject({ code });
  });

  it('gives sides in any of the ways in which files have them', () => {
    expect(sidesField({ size: 5 }, 'size', 1)).toEqual({ height: 5, width: 5 });
    expect(sidesField({ size: { height: 2, width: 3 } }, 'size', 1)).toEqual({
      height: 2,
      width: 3,
    });
    expect(sidesField({ size: { longest_edge: 4 } }, 'size', 1)).toEqual({ height: 4, width: 4 });
    expect(sidesField({}, 'size', 1)).toEqual({ height: 1, width: 1 });
  });
});
