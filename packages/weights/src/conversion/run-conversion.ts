/** Carries a planned conversion out: weights first, then what makes the directory a checkpoint. */
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import { writeFileAtomically } from '@tuneyard/formats';
import {
  type ConversionResult,
  type ExecuteOptions,
  executeConversion,
} from '../convert/execute/execute-conversion.js';
import type { PlannedConversion } from './plan-checkpoint.js';

/**
 * Writes a checkpoint into a directory, which is created.
 *
 * Weights come first; configuration, tokenizer files and, last, the index or tracker that readers look for follow when
 * every weight file is whole. The same call goes on where an interrupted run stopped.
 * Throws: the codes of `executeConversion`; `FILE_…`.
 */
export async function runConversion(
  { plan, config, carried }: PlannedConversion,
  outDir: string,
  options: ExecuteOptions = {},
): Promise<ConversionResult> {
  return await executeConversion(plan, outDir, {
    ...options,
    finish: async () => {
      for (const { from, to } of carried) {
        throwIfAborted(options.signal);
        await copyFile(from, join(outDir, to));
      }
      await writeText(join(outDir, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
      for (const { path, text } of plan.texts) await writeText(join(outDir, path), text);
      await options.finish?.();
    },
  });
}

async function writeText(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomically(path, (sink) => sink.write(Buffer.from(text)));
}
