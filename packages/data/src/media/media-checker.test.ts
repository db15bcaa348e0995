import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRejection } from '../handlers/conversation.js';
import { createMediaChecker, type MediaCheckerSettings } from './media-checker.js';
import {
  createMediaCollector,
  type ManifestEntry,
  readMediaManifest,
  writeMediaManifest,
} from './media-manifest.js';
import type { MediaLists, MediaUse } from './media-types.js';

const FILES = join(import.meta.dirname, '../../test/fixtures/media/files');
const bytesOf = (name: string) => new Uint8Array(readFileSync(join(FILES, name)));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'media-'));
  const mediaDir = join(folder, 'media');
  mkdirSync(join(mediaDir, 'deep'), { recursive: true });
  for (const name of ['rgb.png', 'baseline.jpg', 'mpeg4.mov', 'jfk.mp3']) {
    copyFileSync(join(FILES, name), join(mediaDir, name));
  }
  copyFileSync(join(FILES, 'rgb.png'), join(mediaDir, 'deep', 'same.png'));
  copyFileSync(join(FILES, 'rgb.png'), join(folder, 'secret.png'));
  copyFileSync(join(FILES, 'rgb.png'), join(mediaDir, 'misnamed.jpg'));
  symlinkSync(join(folder, 'secret.png'), join(mediaDir, 'link.png'));
  writeFileSync(join(mediaDir, 'empty.png'), '');
  writeFileSync(join(mediaDir, 'cut.png'), bytesOf('rgb.png').slice(0, 80));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const checkerOf = (settings: Partial<MediaCheckerSettings> = {}) =>
  createMediaChecker({ mediaDir: join(folder, 'media'), ...settings });

const talk = (text: string, media: MediaLists = {}) => ({
  kind: 'conversation' as const,
  source: 'set',
  row: 7,
  messages: [
    { role: 'system', content: 'About <image>.' },
    { role: 'user', content: text },
    { role: 'assistant', content: 'Yes.' },
  ],
  media,
});

async function accepted(text: string, media: MediaLists, settings?: Partial<MediaCheckerSettings>) {
  const checked = await checkerOf(settings).check(talk(text, media));
  if (isRejection(checked)) throw new Error(checked.reason);
  return checked;
}

async function refusal(text: string, media: MediaLists, settings?: Partial<MediaCheckerSettings>) {
  const checked = await checkerOf(settings).check(talk(text, media));
  return isRejection(checked) ? `${checked.bucket}: ${checked.reason}` : 'accepted';
}

describe('a conversation with media', () => {
  it('gets the text of each medium in the place of its placeholder', async () => {
    const media = { images: ['rgb.png', 'baseline.jpg'], videos: ['mpeg4.mov'] };
    const text = '<image>One, <video> and <image>.';
    const plugin = { plugin: 'qwen2_vl' } as const;
    const checked = await accepted(text, media, { plugin });
    const { images, videos } = checked.expanded!;
    expect(checked.conversation.messages.map(({ content }) => content)).toEqual([
      'About <image>.',
      `${images[0]!.text}One, ${videos[0]!.text} and ${images[1]!.text}.`,
      'Yes.',
    ]);
    expect(checked.extraTokens).toBe(images[0]!.tokens + images[1]!.tokens + videos[0]!.tokens);
    expect(checked.conversation).toMatchObject({ source: 'set', row: 7 });
    expect(checked.media.map(({ column, index, path }) => [column, index, path])).toEqual([
      ['images', 0, 'rgb.png'],
      ['images', 1, 'baseline.jpg'],
      ['videos', 0, 'mpeg4.mov'],
    ]);
  });

  it('keeps its text without a plugin, and is still measured', async () => {
    const conversation = talk('<image>?', { images: ['rgb.png'] });
    const checked = await checkerOf().check(conversation);
    if (isRejection(checked)) throw new Error(checked.reason);
    expect(checked.conversation).toBe(conversation);
    expect(checked.media[0]).toMatchObject({ measure: { width: 37, height: 23 } });
    expect(checked.extraTokens).toBe(0);
  });

  it('may speak of placeholders when its data set has no media', async () => {
    const checked = await accepted('What does <image> mean?', {});
    expect(checked.media).toEqual([]);
  });

  it('is refused when placeholders and lists differ', async () => {
    const plugin = { plugin: 'qwen2_vl' } as const;
    expect(await refusal('<image><image>', { images: ['rgb.png'] })).toBe(
      "media_count_mismatch: the text has 2 <image>, 'images' has 1 entry",
    );
    expect(await refusal('no mark', { videos: ['mpeg4.mov'] })).toBe(
      "media_count_mismatch: the text has 0 <video>, 'videos' has 1 entry",
    );
    expect(await refusal('<audio>', {}, { plugin })).toBe(
      "media_count_mismatch: the text has 1 <audio>, 'audios' has 0 entries",
    );
  });

  it('can have other placeholders', async () => {
    const checked = await accepted(
      'a [IMG] (b)',
      { images: ['rgb.png'] },
      { placeholders: { image: '[IMG]' }, plugin: { plugin: 'mllama' } },
    );
    expect(checked.conversation.messages[1]!.content).toBe('a <|image|> (b)');
  });

  it('takes the same picture as a path, an object, bytes, base64 and a data: URI', async () => {
    const content = bytesOf('rgb.png');
    const base64 = Buffer.from(content).toString('base64');
    const images = [
      'rgb.png',
      { path: 'rgb.png', bytes: null },
      { bytes: content, path: 'made-up.jpg' },
      { bytes: base64 },
      { bytes: { type: 'Buffer', data: [...content] } },
      content,
      `data:image/png;base64,${base64}`,
      'deep/same.png',
      './deep/../rgb.png',
    ];
    const { media } = await accepted('<image>'.repeat(images.length), { images });
    expect(new Set(media.map(({ hash }) => hash)).size).toBe(1);
    expect(media.every(({ bytes }) => bytes === content.length)).toBe(true);
    expect(media[6]!.path).toBeUndefined();
  });

  it('takes a video as a list of pictures', async () => {
    const videos = [['rgb.png', 'deep/same.png', 'rgb.png']];
    const checked = await accepted('<video>', { videos }, { plugin: { plugin: 'qwen2_vl' } });
    expect(checked.media.map(({ frame, index }) => [index, frame])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
    expect(checked.expanded!.videos[0]!.grid![0]).toBe(2);
  });

  it('says what to put in front for PaliGemma', async () => {
    const images = ['rgb.png', 'baseline.jpg'];
    const plugin = { plugin: 'paligemma' } as const;
    const checked = await accepted('<image>a <image>b', { images }, { plugin });
    expect(checked.prefix).toEqual({ token: '<image>', count: 512 });
    expect(checked.conversation.messages[1]!.content).toBe('a b');
  });

  it('writes series', async () => {
    const series = [
      {
        values: [
          [1, 2],
          [3, 4],
        ],
        sampling_rate: 10,
      },
      [0.5],
    ];
    const seriesEncoding = { method: 'decimal', digits: 1 } as const;
    const checked = await accepted('Is <ts> like <ts>?', { series }, { seriesEncoding });
    expect(checked.conversation.messages[1]!.content).toBe('Is 1.0, 2.0\n3.0, 4.0 like 0.5?');
    expect(checked.media[0]).toMatchObject({ bytes: 32, measure: { channels: 2, length: 2 } });
    expect(await refusal('<ts>', { series: [[1, null]] })).toBe(
      'media_unreadable: series[0]: channel 0, place 1 is null; expected a finite number',
    );
    expect(await refusal('<ts>', { series: [[1e300]] }, { seriesEncoding })).toContain(
      'media_unreadable: series: the value 1e+300 is too large',
    );
  });
});

describe('a medium that cannot be used is a rejection that names it', () => {
  const cases: [unknown, string][] = [
    ['absent.png', "media_not_found: images[0] 'absent.png': there is no such file"],
    ['deep', "media_not_found: images[0] 'deep': it is a folder"],
    ['rgb.png/x', "media_not_found: images[0] 'rgb.png/x': a folder in its path is a file"],
    ['', "media_not_found: images[0] '': it is no path"],
    ['https://example.org/a.png', 'media_not_found: images[0]'],
    [
      '../secret.png',
      "media_not_found: images[0] '../secret.png': it leads out of the media folder",
    ],
    ['/etc/hostname', 'its absolute path leads out of the media folder'],
    ['link.png', "media_not_found: images[0] 'link.png': it leads out of the media folder"],
    ['empty.png', "media_unreadable: images[0] 'empty.png': it is empty"],
    [
      'cut.png',
      "media_unreadable: images[0] 'cut.png': the png is damaged: it ends inside its IDAT",
    ],
    ['misnamed.jpg', "images[0] 'misnamed.jpg': its name ends in .jpg but it is png"],
    ['mpeg4.mov', "images[0] 'mpeg4.mov': it is mov, no image"],
    [17, 'wrong_type: images[0]: it is neither a path nor an object'],
    [{ bytes: null, path: null }, 'wrong_type: images[0]: it has neither bytes nor a path'],
    [{ bytes: '!!!' }, 'media_unreadable: images[0]: its text is not base64'],
    [{ bytes: [1, 300] }, 'wrong_type: images[0]: its bytes are neither bytes nor base64'],
    ['data:image/png', 'its data: URI has no comma'],
    [null, 'wrong_type: images[0]'],
  ];

  it.each(cases)('%s', async (entry, message) => {
    expect(await refusal('<image>', { images: [entry] })).toContain(message);
  });

  it('unless links and names are allowed', async () => {
    const images = ['link.png', '../secret.png', 'misnamed.jpg'];
    const settings = { allowOutside: true, allowMisnamed: true };
    const { media } = await accepted('<image><image><image>', { images }, settings);
    expect(media).toHaveLength(3);
  });

  it('so is a shape that the model cannot take', async () => {
    const wide = bytesOf('rgb.png');
    new DataView(wide.buffer).setUint32(16, 5_000_000);
    new DataView(wide.buffer).setUint32(20, 1);
    expect(await refusal('<image>', { images: [wide] }, { plugin: { plugin: 'llava' } })).toBe(
      'media_unreadable: images[0]: it is 5000000×1 pixels, a shape that the model cannot take',
    );
  });

  it('so are lists that are none or too long', async () => {
    const images = 'rgb.png' as unknown as readonly unknown[];
    expect(await refusal('<image>', { images })).toBe("wrong_type: 'images' is not a list");
    const many = { images: ['rgb.png', 'rgb.png'] };
    expect(await refusal('<image><image>', many, { limits: { listLength: 1 } })).toBe(
      "media_unreadable: 'images' has 2 entries; the limit is 1",
    );
    expect(await refusal('<audio>', { audios: ['jfk.mp3'] }, { limits: { audioSeconds: 5 } })).toBe(
      "media_unreadable: audios[0] 'jfk.mp3': it lasts 11.1 seconds; the limit is 5",
    );
  });

  it('stops when it is told to', async () => {
    const checker = checkerOf({ signal: AbortSignal.abort(new Error('enough')) });
    const check = checker.check(talk('<image>', { images: ['rgb.png'] }));
    await expect(check).rejects.toThrow('enough');
  });
});

describe('the manifest', () => {
  const use = (hash: string, index: number, path: string): MediaUse => ({
    hash: hash.repeat(64),
    bytes: 10,
    measure: { kind: 'image', format: 'png', width: 1, height: 1, orientation: 1 },
    column: 'images',
    index,
    path,
  });

  it('has each medium once and does not depend on the order', async () => {
    const first = createMediaCollector();
    const second = createMediaCollector();
    first.add({ source: 'b', row: 2 }, [use('f', 0, 'z.png'), use('a', 1, 'a.png')]);
    second.add({ source: 'a', row: 9 }, [use('a', 0, 'copy.png')]);
    second.add({ source: 'b', row: 1 }, [use('a', 0, 'a.png')]);
    const one = createMediaCollector();
    one.merge(first.entries());
    one.merge(second.entries());
    const other = createMediaCollector();
    other.merge(second.entries());
    other.merge(first.entries());
    expect(one.entries()).toEqual(other.entries());
    const path = join(folder, 'media.json');
    await writeMediaManifest(path, one.entries());
    const text = readFileSync(path, 'utf8');
    await writeMediaManifest(path, other.entries());
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(JSON.parse(text).media).toHaveLength(2);
    const read: ManifestEntry[] = [];
    for await (const entry of readMediaManifest(path)) read.push(entry);
    expect(read).toEqual(one.entries());
    expect(read[0]).toMatchObject({
      hash: 'a'.repeat(64),
      paths: ['a.png', 'copy.png'],
      uses: [
        { source: 'a', row: 9, column: 'images', index: 0 },
        { source: 'b', row: 1, column: 'images', index: 0 },
        { source: 'b', row: 2, column: 'images', index: 1 },
      ],
    });
  });

  it('is refused when it is damaged or cut off, at every byte', async () => {
    const collector = createMediaCollector();
    collector.add({ source: 'a', row: 1 }, [use('a', 0, 'a.png'), use('b', 1, 'b.png')]);
    const path = join(folder, 'cut.json');
    await writeMediaManifest(path, collector.entries());
    const text = readFileSync(path, 'utf8');
    // The last byte is a line end.
    for (let length = 0; length < text.length - 1; length++) {
      writeFileSync(path, text.slice(0, length));
      const all = async () => {
        for await (const entry of readMediaManifest(path)) expect(entry.hash).toHaveLength(64);
      };
      await expect(all(), String(length)).rejects.toMatchObject({
        code: 'DATA_BAD_MEDIA_MANIFEST',
      });
    }
  });

  it('leaves nothing behind when it is interrupted', async () => {
    const path = join(folder, 'none.json');
    const signal = AbortSignal.abort(new Error('enough'));
    const collector = createMediaCollector();
    collector.add({ source: 'a', row: 1 }, [use('a', 0, 'a.png')]);
    await expect(writeMediaManifest(path, collector.entries(), signal)).rejects.toThrow('enough');
    expect(() => readFileSync(path)).toThrow('ENOENT');
    expect(() => readFileSync(`${path}.part`)).toThrow('ENOENT');
  });
});
