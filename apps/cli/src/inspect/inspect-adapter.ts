/** Facts of a LoRA adapter in the PEFT layout. */

import { join } from 'node:path';
import { formatBytes, formatCount } from '@tuneyard/core';
import { SafetensorsReader } from '@tuneyard/formats';
import { moduleScale, readAdapter } from '@tuneyard/weights';
import { visibleText } from '../terminal/visible-text.js';
import { safetensorsTable, tensorTotals } from './inspect-safetensors.js';
import type { Inspection } from './inspection.js';

/** Inspects an adapter directory. Throws: the codes of adapters and of safetensors. */
export async function inspectAdapter(directory: string): Promise<Inspection> {
  const { config, pairs, additions } = await readAdapter(directory);
  const reader = await SafetensorsReader.open(join(directory, 'adapter_model.safetensors'));
  const tensors = safetensorsTable(reader);
  const totals = tensorTotals(tensors.lines);
  const scales = [...new Set(pairs.map(({ module }) => moduleScale(config, module)))];
  return {
    kind: 'LoRA adapter (PEFT)',
    sections: [
      {
        title: 'Adapter',
        facts: [
          ['base model', visibleText(config.baseModel ?? 'not stated')],
          ['rank', String(config.rank)],
          ['alpha', String(config.alpha)],
          ['scale', scales.map((scale) => scale.toPrecision(3)).join(', ')],
          ['adapts', config.targetModules.map(visibleText).join(', ')],
          ['modules', formatCount(pairs.length)],
          ['parameters', formatCount(totals.parameters)],
          ['size', formatBytes(totals.bytes)],
        ],
      },
    ],
    document: { config, modules: pairs.map(({ module }) => module), ...totals },
    tensors,
    problems:
      additions.replacements.size === 0 &&
      additions.embeddings.length === 0 &&
      pairs.every(({ b }) => b.every((value) => value === 0))
        ? ['every B factor is zero: the adapter changes nothing']
        : [],
    close: () => reader.close(),
  };
}
