import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { beforeAll, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const MODEL = fileURLToPath(new URL('../../../../assets/models/stories260k-hf', import.meta.url));
const FLAGS = ['--conditions=@tuneyard/source', '--import', 'tsx'];
/** Some sixteen parts. */
const ROWS = 40_000;

let dir: string;
let data: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tuneyard-cli-preprocess-'));
  data = join(dir, 'data.jsonl');
  const rng = createRng(3);
  const words = 'the little dog ran to a big red house where one cat lived with her friend'.split(
    ' ',
  );
  const sentence = (): string =>
    Array.from({ length: 10 + rng.nextInt(60) }, () => words[rng.nextInt(words.length)]).join(' ');
  const lines = Array.from({ length: ROWS }, () =>
    JSON.stringify({ instruction: sentence(), output: sentence() }),
  );
  writeFileSync(data, `${lines.join('\n')}\n`);
});

function start(prefix: string, flags: readonly string[]): ChildProcess {
  const args = [...FLAGS, MAIN, 'preprocess', data, '--model', MODEL, '--template', 'plain'];
  return spawn(process.execPath, [...args, '--output-prefix', prefix, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

function end(child: ChildProcess): Promise<End> {
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code, signal, output: Buffer.concat(chunks).toString() }),
    );
  });
}

/** Waits until some parts are committed. */
async function untilParts(prefix: string, count: number): Promise<void> {
  const work = join(dir, `.${prefix}_preprocess`);
  for (let tries = 0; tries < 3000; tries++) {
    const parts = tryList(work).filter(
      (name) => name.startsWith('part-') && name.endsWith('.safetensors'),
    );
    if (parts.length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no ${count} parts in ${work}`);
}

function tryList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Hashes of the files of a prefix, by what follows it. */
function outputs(prefix: string): { [name: string]: string } {
  const names = readdirSync(dir).filter((name) => /_document\.(bin|idx)$/.test(name));
  const hash = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(dir, name)))
      .digest('hex');
  return Object.fromEntries(
    names
      .filter((name) => name.startsWith(`${prefix}_`))
      .map((name) => [name.slice(prefix.length), hash(name)]),
  );
}

const PACKED = ['--pack', '--neat-pack', '--seq-length', '512', '--val-size', '100'];

describe('tuneyard preprocess', () => {
  it('writes the same bytes with any number of workers', async () => {
    for (const workers of ['0', '1', '2', '3']) {
      const ended = await end(start(join(dir, `w${workers}`), ['--workers', workers, ...PACKED]));
      expect(ended.code, ended.output).toBe(0);
    }
    const expected = outputs('w0');
    expect(Object.keys(expected)).toHaveLength(12);
    for (const workers of ['1', '2', '3']) expect(outputs(`w${workers}`)).toEqual(expected);
  });

  it('killed at random moments, ends with the bytes of a run that was not', async () => {
    const rng = createRng(Date.now());
    const moments = [1 + rng.nextInt(5), 7 + rng.nextInt(4)];
    for (const moment of moments) {
      const child = start(join(dir, 'killed'), ['--workers', '2', ...PACKED]);
      const ended = end(child);
      await untilParts('killed', moment);
      child.kill('SIGKILL');
      expect((await ended).signal).toBe('SIGKILL');
      expect(readdirSync(dir).filter((name) => name.startsWith('killed_'))).toEqual([]);
    }
    const last = await end(start(join(dir, 'killed'), ['--workers', '2', ...PACKED]));
    expect(last.code, last.output).toBe(0);
    expect(last.output).toMatch(/parts were there already/);
    expect(outputs('killed'), `killed at ${moments}`).toEqual(outputs('w0'));
  });

  it('stops on Ctrl-C with nothing half-written, and goes on', async () => {
    const child = start(join(dir, 'stopped'), ['--workers', '1']);
    const ended = end(child);
    await untilParts('stopped', 3);
    child.kill('SIGINT');
    const stopped = await ended;
    expect(stopped.code, stopped.output).toBe(130);
    expect(stopped.output).toMatch(/goes on from here/);
    expect(readdirSync(dir).filter((name) => name.startsWith('stopped_'))).toEqual([]);
    const again = await end(start(join(dir, 'stopped'), ['--workers', '1', '--json']));
    expect(again.code, again.output).toBe(0);
    const result = JSON.parse(again.output.slice(again.output.indexOf('{'))) as {
      reusedParts: number;
      report: { rows: number };
    };
    expect(result.reusedParts).toBeGreaterThanOrEqual(3);
    expect(result.report.rows).toBe(ROWS);
  });
});
