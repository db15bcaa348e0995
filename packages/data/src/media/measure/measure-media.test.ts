import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { imageSize } from 'image-size';
import { describe, expect, it } from 'vitest';
import { hashMedia, memorySource, openFileSource } from './byte-source.js';
import { DEFAULT_MEDIA_LIMITS } from './limits.js';
import { type FileKind, measureMedia } from './measure-media.js';

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/media');
const FILES = join(FIXTURES, 'files');
const limits = DEFAULT_MEDIA_LIMITS;

interface Truth {
  readonly kind: FileKind;
  readonly width: number;
  readonly height: number;
  readonly orientation: number;
  readonly format: string;
  readonly declared_frames: number;
  readonly decoded_frames: number;
  readonly duration: number | null;
  readonly has_audio: boolean;
  readonly by: string;
  readonly sample_rate: number;
  readonly channels: number;
  readonly samples: number;
}

const truths = JSON.parse(readFileSync(join(FIXTURES, 'measured.json'), 'utf8')).files as {
  readonly [name: string]: Truth;
};

async function measureFile(name: string, kind: FileKind) {
  const source = await openFileSource(join(FILES, name));
  try {
    return await measureMedia(source, { kind, limits, name });
  } finally {
    await source.close();
  }
}

const measureBytes = (content: Uint8Array, kind: FileKind, name?: string) =>
  measureMedia(memorySource(content), { kind, limits, ...(name === undefined ? {} : { name }) });

const namesOf = (kind: FileKind) =>
  Object.keys(truths).filter((name) => truths[name]!.kind === kind);
const bytesOf = (name: string) => new Uint8Array(readFileSync(join(FILES, name)));

describe('pictures', () => {
  it.each(namesOf('image'))('%s measures what Pillow and image-size read', async (name) => {
    const { width, height, orientation, format } = truths[name]!;
    expect(await measureFile(name, 'image')).toEqual({
      kind: 'image',
      format,
      width,
      height,
      orientation,
    });
    const second = imageSize(bytesOf(name));
    expect([second.width, second.height]).toEqual([width, height]);
  });

  // Only the first picture of an animated GIF is needed.
  const whole = namesOf('image').filter((name) => name !== 'animated.gif');
  it.each(whole)('%s is refused when it is cut off anywhere', async (name) => {
    const content = bytesOf(name);
    const last = extname(name) === '.gif' ? 2 : 1;
    const step = Math.max(1, Math.floor(content.length / 60));
    for (let length = 0; length < content.length - last; length += step) {
      const cut = measureBytes(content.slice(0, length), 'image');
      await expect(cut, `${length} of ${content.length}`).rejects.toMatchObject({
        bucket: 'media_unreadable',
      });
    }
  });

  it('damaged bytes give a measure or a fault and nothing else', async () => {
    let state = 1;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state;
    };
    for (const name of namesOf('image')) {
      const content = bytesOf(name);
      for (let round = 0; round < 60; round++) {
        const broken = content.slice();
        for (let i = 0; i < 4; i++)
          broken[random() % Math.min(200, broken.length)] = random() % 256;
        const outcome = await measureBytes(broken, 'image').catch((error) => error);
        if (outcome instanceof Error) expect(outcome, name).toHaveProperty('bucket');
        else expect(outcome.width * (outcome as { height: number }).height).toBeGreaterThan(0);
      }
    }
  });

  it('a picture that only claims to be huge is refused by its header', async () => {
    const content = bytesOf('rgb.png');
    new DataView(content.buffer).setUint32(16, 2_000_000_000);
    await expect(measureBytes(content, 'image')).rejects.toThrow(
      'it is 2000000000×23 = 46000000000 pixels; the limit is 178956970',
    );
    new DataView(content.buffer).setUint32(16, 0);
    await expect(measureBytes(content, 'image')).rejects.toThrow('it says that it is 0×23 pixels');
  });

  it('a file over the byte limit is refused before it is read', async () => {
    const source = { ...memorySource(bytesOf('rgb.png')), bytes: 2 ** 40 };
    await expect(measureMedia(source, { kind: 'image', limits })).rejects.toThrow(
      'it has 1099511627776 bytes',
    );
  });
});

describe('names and kinds', () => {
  it('says what a file is when it is something else', async () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const cases: [Uint8Array, FileKind, string][] = [
      [new Uint8Array(0), 'image', 'it is empty'],
      [bytes('hello, world'), 'image', 'its content is no image of a known format'],
      [bytes('<!DOCTYPE html><p>Not found'), 'image', 'it is a web page'],
      [bytes('version https://git-lfs.github.com/spec/v1'), 'video', 'it is a Git LFS pointer'],
      [bytesOf('h264-10fps.mp4'), 'image', 'it is mp4, no image'],
      [bytesOf('rgb.png'), 'audio', 'it is png, no audio'],
      [bytesOf('aac.m4a'), 'video', 'it has no picture track'],
      [bytesOf('h264-10fps.mp4'), 'audio', 'it has no sound track'],
    ];
    for (const [content, kind, message] of cases) {
      await expect(measureBytes(content, kind)).rejects.toThrow(message);
    }
  });

  it('refuses an extension that does not fit, unless told to go by content', async () => {
    const content = bytesOf('rgb.png');
    await expect(measureBytes(content, 'image', 'a.JPG')).rejects.toThrow(
      'its name ends in .jpg but it is png',
    );
    const request = { kind: 'image', limits, name: 'a.jpg', allowMisnamed: true } as const;
    expect(await measureMedia(memorySource(content), request)).toMatchObject({ width: 37 });
  });
});

describe('sound and video', () => {
  it.each(namesOf('video'))('%s measures what ffmpeg decodes', async (name) => {
    const truth = truths[name]!;
    const measure = await measureFile(name, 'video');
    expect(measure).toMatchObject({
      kind: 'video',
      width: truth.width,
      height: truth.height,
      frames: truth.decoded_frames,
      declaredFrames: truth.declared_frames,
    });
    if (measure.kind !== 'video') return;
    expect(measure.declaredSeconds === null).toBe(truth.duration === null);
    if (truth.duration !== null) expect(measure.seconds).toBe(truth.duration);
    const fromBytes = await measureBytes(bytesOf(name), 'video', name);
    expect(fromBytes).toEqual(measure);
  });

  it.each(namesOf('audio'))('%s measures what libsndfile reads', async (name) => {
    const truth = truths[name]!;
    const measure = await measureFile(name, 'audio');
    expect(measure).toMatchObject({ sampleRate: truth.sample_rate, channels: truth.channels });
    if (measure.kind !== 'audio') return;
    if (truth.by === 'libsndfile') expect(measure.samples).toBe(truth.samples);
    // AAC's padding at the end is at most a block of 1024.
    else expect(Math.abs(measure.samples - truth.samples)).toBeLessThan(1024);
  });

  it('the sound of a video is measured too', async () => {
    expect(await measureFile('sound.mp4', 'audio')).toMatchObject({ sampleRate: 16000 });
  });

  it('files that are cut off in the middle of their index are refused', async () => {
    for (const name of ['h264-10fps.mp4', 'mpeg4.mov', 'mpeg4.avi', 'h264-ntsc.mp4']) {
      const content = bytesOf(name);
      for (const part of [0.3, 0.6, 0.9, 0.99]) {
        const cut = content.slice(0, Math.floor(content.length * part));
        await expect(measureBytes(cut, 'video'), `${name} ${part}`).rejects.toMatchObject({
          bucket: 'media_unreadable',
        });
      }
    }
  });

  it('a video over the length limit is refused', async () => {
    const request = { kind: 'video', limits: { ...limits, videoSeconds: 2 } } as const;
    await expect(measureMedia(memorySource(bytesOf('vp9.webm')), request)).rejects.toThrow(
      'it lasts 2.5 seconds; the limit is 2',
    );
  });

  it('damaged bytes give a measure or a fault and nothing else', async () => {
    let state = 7;
    const random = () => {
      state = (state * 48271) % 2147483647;
      return state;
    };
    for (const name of readdirSync(FILES)) {
      const kind = truths[name]?.kind;
      if (kind === undefined || kind === 'image' || name === 'jfk.mp3') continue;
      for (let round = 0; round < 8; round++) {
        const broken = bytesOf(name);
        for (let i = 0; i < 6; i++)
          broken[random() % Math.min(600, broken.length)] = random() % 256;
        const outcome = await measureBytes(broken, kind).catch((error) => error);
        if (outcome instanceof Error) expect(outcome, name).toHaveProperty('bucket');
      }
    }
  });
});

describe('hashes', () => {
  it('a file and its bytes have the hash that node computes in one go', async () => {
    const { createHash } = await import('node:crypto');
    const content = bytesOf('jfk.mp3');
    const expected = createHash('sha256').update(content).digest('hex');
    const source = await openFileSource(join(FILES, 'jfk.mp3'));
    expect(await hashMedia(source)).toBe(expected);
    await source.close();
    expect(await hashMedia(memorySource(content))).toBe(expected);
  });
});
