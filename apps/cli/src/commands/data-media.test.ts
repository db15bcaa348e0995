import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runFake } from '../testing/fake-host.js';

const FILES = join(import.meta.dirname, '../../../../packages/data/test/fixtures/media/files');
const talk = (text: string, media: object) => ({
  messages: [
    { role: 'user', content: text },
    { role: 'assistant', content: 'Yes.' },
  ],
  ...media,
});

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-media-'));
  for (const name of ['dog_on_skateboard.jpg', 'mpeg4.mov', 'jfk.mp3']) {
    await copyFile(join(FILES, name), join(dir, name));
  }
  const good = [
    talk('<image>A dog?', { images: ['dog_on_skateboard.jpg'] }),
    talk('<video><image>', { images: ['dog_on_skateboard.jpg'], videos: ['mpeg4.mov'] }),
    talk('No media.', {}),
  ];
  const bad = [talk('<image>', { images: ['cat.jpg'] }), talk('<image>', { images: [] })];
  const write = (name: string, rows: object[]) => writeFile(join(dir, name), JSON.stringify(rows));
  await write('good.json', good);
  await write('bad.json', [...good, ...bad]);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('tuneyard data media', () => {
  it('counts files and the tokens that they become', async () => {
    const argv = ['data', 'media', 'good.json', '--plugin', 'qwen2_vl', '--manifest', 'media.json'];
    const run = await runFake(argv, { cwd: dir });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toContain('3 rows, 2 with media, at most 302 media tokens in a row');
    expect(run.stdout).toMatch(/image +2 +1 +40625 +588 +294 +294/);
    expect(run.stdout).toMatch(/video +1 +1 +3601 +8 +8 +8/);
    const manifest = JSON.parse(await readFile(join(dir, 'media.json'), 'utf8'));
    expect(manifest.media.map(({ uses }: { uses: object[] }) => uses.length).sort()).toEqual([
      1, 2,
    ]);
  });

  it('lists the rows that cannot be used', async () => {
    const argv = ['data', 'media', 'bad.json', '--plugin', 'qwen2_vl'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toContain(
      "row 4: media_not_found: images[0] 'cat.jpg': there is no such file",
    );
    expect(run.stdout).toContain(
      "row 5: media_count_mismatch: the text has 1 <image>, 'images' has 0 entries",
    );
    const json = await runFake([...argv, '--json'], { cwd: dir });
    expect(JSON.parse(json.stdout)).toMatchObject({ rows: 5, rejected: [{ row: 4 }, { row: 5 }] });
  });

  it('names the plugins when one is unknown', async () => {
    const run = await runFake(['data', 'media', 'good.json', '--plugin', 'clip'], { cwd: dir });
    expect(run.exitCode).not.toBe(0);
    expect(run.stderr).toContain("there is no media plugin 'clip'; known: qwen2_vl");
  });
});
