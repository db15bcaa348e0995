/**
 * One turn of `bench:convert` in a new process: a conversion, or a plain copy of as many bytes. Prints one JSON line.
 *
 * Conversions run the built package, as users do, from planning to the last file's final name.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { planConversion, runConversion } from '@tuneyard/weights';

/** What a turn does. */
export interface ConvertTurnOptions {
  readonly what: 'to-megatron' | 'to-hf' | 'copy' | 'copies';
  readonly source: string;
  readonly target: string;
  /** Directory of config.json for `to-hf`. */
  readonly config: string;
  readonly dtype: 'BF16' | null;
  readonly isDurable: boolean;
  /** Bytes that copies write: as many as the conversion. */
  readonly writeBytes: number;
}

/** What a turn measured. */
export interface ConvertTurnReport {
  readonly wallMs: number;
  readonly peakRssMb: number;
}

const COPY_BYTES = 1024 * 1024;
const COPY_RUN = 16 * COPY_BYTES;
const COPY_FILES = 8;

async function convert(options: ConvertTurnOptions): Promise<void> {
  const planned = await planConversion({
    source: options.source,
    to: options.what === 'to-hf' ? 'hf' : 'megatron',
    configDir: options.config,
    target: { tensorParallel: 4, pipelineParallel: 2 },
    dtype: options.dtype,
    naming: 'shards',
    maxShardBytes: 2e9,
  });
  await runConversion(planned, options.target, { isDurable: options.isDurable });
}

/**
 * Reads all source files and writes the same number of bytes, or fewer when a cast makes fewer, into new files: a loop
 * that reads a block and writes it, nothing else; with `copies`, as many loops as the conversion has threads.
 */
async function copy(options: ConvertTurnOptions): Promise<void> {
  const { what, source, target, writeBytes, isDurable } = options;
  const lanes = what === 'copies' ? Math.min(availableParallelism(), 4) : 1;
  mkdirSync(target, { recursive: true });
  const names = readdirSync(source, { recursive: true, encoding: 'utf8' });
  const paths = names.map((name) => join(source, name)).filter((path) => statSync(path).isFile());
  const sources = await Promise.all(
    paths.map(async (path) => ({ handle: await open(path, 'r'), size: statSync(path).size })),
  );
  const targets = await Promise.all(
    Array.from({ length: COPY_FILES }, (_, i) => open(join(target, `copy-${i}`), 'w')),
  );
  const runs: { from: number; begin: number; bytes: number }[] = [];
  for (const [from, { size }] of sources.entries()) {
    for (let begin = 0; begin < size; begin += COPY_RUN) {
      runs.push({ from, begin, bytes: Math.min(COPY_RUN, size - begin) });
    }
  }
  const readBytes = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  const share = Math.min(1, writeBytes / readBytes);
  let next = 0;
  const work = async (): Promise<void> => {
    const block = new Uint8Array(COPY_BYTES);
    for (let at = next++; at < runs.length; at = next++) {
      const run = runs[at];
      if (run === undefined) return;
      const to = targets[at % COPY_FILES];
      let position = Math.floor(at / COPY_FILES) * COPY_RUN * share;
      for (let done = 0; done < run.bytes; done += COPY_BYTES) {
        const length = Math.min(COPY_BYTES, run.bytes - done);
        await sources[run.from]?.handle.read(block, 0, length, run.begin + done);
        const written = Math.floor(length * share);
        await to?.write(block, 0, written, Math.floor(position));
        position += written;
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, work));
  for (const { handle } of sources) await handle.close();
  for (const handle of targets) {
    if (isDurable) await handle.sync();
    await handle.close();
  }
}

/** Not getrusage where it can be helped: its maximum begins with what the bench itself held. */
function peakRssMb(): number {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const highest = /VmHWM:\s*(\d+) kB/.exec(status)?.[1];
  return Number(highest ?? process.resourceUsage().maxRSS) / 1024;
}

async function main(options: ConvertTurnOptions): Promise<void> {
  const begin = performance.now();
  await (options.what.startsWith('cop') ? copy(options) : convert(options));
  const report: ConvertTurnReport = {
    wallMs: performance.now() - begin,
    peakRssMb: peakRssMb(),
  };
  console.log(JSON.stringify(report));
}

await main(JSON.parse(process.argv[2] ?? '{}') as ConvertTurnOptions);
