/**
 * `npm run bench:preprocess-large`: memory and interruption on a file larger than memory should ever be.
 *
 * Writes JSON Lines of the given size, prepares them once in one go and once killed with SIGKILL half-way and started again,
 * and compares the files. Memory is the largest resident set that the kernel has counted. The last line is JSON.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRng } from '@tuneyard/core';
import { buildCorpus } from '../../packages/data/test/corpus.js';
import { vocabularyJson } from '../../packages/data/test/tokenizer-candidates.js';

const USAGE = `Usage: npm run bench:preprocess-large -- [options]

  --gb N        size of the file (10)
  --workers N   threads (2)
  --dir DIR     where files are written; needs five times the size (a new temporary directory)
  --help        this text`;

/** What a job may hold in memory, whatever the size of its input. */
const LIMIT_MB = 1000;
const BIN = fileURLToPath(new URL('../../apps/cli/bin/tuneyard.js', import.meta.url));

/** Writes documents again and again in other orders, each with a number of its own. */
async function writeLarge(path: string, bytes: number): Promise<number> {
  const texts = buildCorpus({ seed: 1, bytes: 24e6 }).map(({ text }) => text);
  const rng = createRng(2);
  const file = await open(path, 'w');
  let written = 0;
  let rows = 0;
  try {
    while (written < bytes) {
      const lines: string[] = [];
      for (let length = 0; length < 4e6; rows++) {
        const text = texts[rng.nextInt(texts.length)] ?? '';
        const line = `${JSON.stringify({ text: `${rows}. ${text}` })}\n`;
        lines.push(line);
        length += line.length;
      }
      written += (await file.write(lines.join(''))).bytesWritten;
    }
  } finally {
    await file.close();
  }
  return rows;
}

interface Run {
  readonly seconds: number;
  readonly peakMb: number;
  readonly code: number | null;
}

/** Runs the job; `killAfter` bytes of parts it is killed. */
async function prepare(args: readonly string[], killAt: (() => boolean) | null): Promise<Run> {
  const begin = performance.now();
  const child = spawn(process.execPath, [BIN, 'preprocess', ...args], { stdio: 'ignore' });
  let peakMb = 0;
  const timer = setInterval(() => {
    peakMb = Math.max(peakMb, residentMb(child));
    if (killAt?.() === true) child.kill('SIGKILL');
  }, 200);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(timer);
  return { seconds: (performance.now() - begin) / 1000, peakMb, code };
}

/** Highest resident set so far, in MB; 0 when the process is gone or the system does not say. */
function residentMb({ pid }: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      gb: { type: 'string', default: '10' },
      workers: { type: 'string', default: '2' },
      dir: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const bytes = 1e9 * Number(values.gb);
  if (!(bytes > 0)) {
    console.error(`--gb ${values.gb}: expected a number above 0\n\n${USAGE}`);
    return 2;
  }
  const root = values.dir ?? tmpdir();
  mkdirSync(root, { recursive: true });
  const dir = mkdtempSync(join(root, 'tuneyard-large-'));
  try {
    const model = join(dir, 'tokenizer.json');
    writeFileSync(model, vocabularyJson('mistral'));
    const data = join(dir, 'data.jsonl');
    const rows = await writeLarge(data, bytes);
    console.log(`${rows} rows, ${statSync(data).size} bytes written`);
    const base = [data, '--model', model, '--stage', 'pt', '--workers', values.workers];
    const jobOf = (name: string) => [...base, '--output-prefix', join(dir, name)];
    const whole = await prepare(jobOf('whole'), null);
    console.log(`in one go: ${whole.seconds.toFixed(0)} s, ${whole.peakMb.toFixed(0)} MB`);
    const start = performance.now();
    const half = 1000 * whole.seconds * 0.5;
    const killed = await prepare(jobOf('killed'), () => performance.now() - start > half);
    const again = await prepare(jobOf('killed'), null);
    console.log(
      `killed after ${killed.seconds.toFixed(0)} s, then ${again.seconds.toFixed(0)} s, ${again.peakMb.toFixed(0)} MB`,
    );
    const [a, b] = await Promise.all(
      ['whole', 'killed'].map((name) => hashOf(join(dir, `${name}_text_document.bin`))),
    );
    const peakMb = Math.max(whole.peakMb, killed.peakMb, again.peakMb);
    const sameBytes = whole.code === 0 && again.code === 0 && killed.code === null && a === b;
    const result = {
      bench: 'preprocess-large',
      ratio: Number((LIMIT_MB / peakMb).toFixed(2)),
      bytes: statSync(data).size,
      rows,
      seconds: Number(whole.seconds.toFixed(1)),
      mb_per_s: Number((statSync(data).size / 1e6 / whole.seconds).toFixed(1)),
      peak_mb: Math.round(peakMb),
      same_bytes: sameBytes,
      targets: { peak_mb: LIMIT_MB, met: sameBytes && peakMb < LIMIT_MB },
    };
    console.log(JSON.stringify(result));
    return result.targets.met ? 0 : 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
