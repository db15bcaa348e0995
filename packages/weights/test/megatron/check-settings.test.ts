import { describe, expect, it } from 'vitest';
import { checkMegatronSettings, describeFinding } from '../../src/megatron/check-settings.js';
import { megatronLayout } from '../../src/megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { type TinyOptions, tinyModel } from './tiny-models.js';

const findings = (
  changes: Partial<MegatronSettings>,
  options: TinyOptions = {},
  purpose: 'read' | 'write' = 'write',
): string[] =>
  checkMegatronSettings(
    tinyModel(options),
    { ...DEFAULT_MEGATRON_SETTINGS, ...changes },
    purpose,
  ).map(describeFinding);

const MOE = { experts: 8, shared: true } as const;

describe('checkMegatronSettings', () => {
  it('finds nothing in settings that divide the model', () => {
    expect(findings({ tensorParallel: 4, pipelineParallel: 2, layersPerVirtualStage: 1 })).toEqual(
      [],
    );
  });

  it('names every size that tensor parallelism does not divide, with values that divide them all', () => {
    const options = { heads: 6, groups: 3, ffn: 18, vocab: 30 };
    expect(findings({ tensorParallel: 4 }, options)).toEqual([
      'tensorParallel is 4, but must divide the attention heads (6) (nearest: 3)',
      'tensorParallel is 4, but must divide the key and value groups (3) (nearest: 3)',
      'tensorParallel is 4, but must divide the feed-forward size (18) (nearest: 3)',
      'vocabularyPadding is none, but the vocabulary (30) is not divisible by tensorParallel (4) (nearest: last_row, tail_rows)',
    ]);
  });

  it.each<[string, Partial<MegatronSettings>, TinyOptions, string[]]>([
    [
      'pipeline stages that do not divide the layers',
      { pipelineParallel: 3 },
      { layers: 8 },
      [
        'pipelineParallel is 3, but the number of layers (8) must be divisible by the number of stages (nearest: 2, 4)',
      ],
    ],
    [
      'noop layers count in the division',
      { pipelineParallel: 2, noopLayers: [4] },
      {},
      [
        'pipelineParallel is 2, but the number of layers (5) must be divisible by the number of stages (nearest: 1, 5)',
      ],
    ],
    [
      'noop layers outside of the model',
      { noopLayers: [1, 6] },
      {},
      [
        'noopLayers is 1,6, but must be different positions from 0 to 5 (4 layers and 2 without weights)',
      ],
    ],
    [
      'a list of layers of another length, sum, and beside what excludes it',
      { pipelineParallel: 2, numLayerList: [1, 1, 1], layersPerVirtualStage: 1, noopLayers: [0] },
      {},
      [
        'numLayerList is 1,1,1, but must have one count for each of the 2 stages',
        'numLayerList is 1,1,1, but its sum (3) must be the number of layers (4) (nearest: 1,1,2)',
        'numLayerList is 1,1,1, but cannot be used with layersPerVirtualStage',
        'numLayerList is 1,1,1, but cannot be used with noopLayers',
      ],
    ],
    [
      'virtual stages without a pipeline',
      { layersPerVirtualStage: 2 },
      {},
      ['layersPerVirtualStage is 2, but virtual stages need more than one pipeline stage'],
    ],
    [
      'virtual stages that do not divide a stage',
      { pipelineParallel: 2, layersPerVirtualStage: 4 },
      { layers: 12 },
      ['layersPerVirtualStage is 4, but must divide the 6 layers of a stage (nearest: 3)'],
    ],
    [
      'virtual stages as large as a stage',
      { pipelineParallel: 2, layersPerVirtualStage: 2 },
      {},
      ['layersPerVirtualStage is 2, but must be below the 2 layers of a stage'],
    ],
    [
      'experts that expert ranks do not divide',
      { expertParallel: 3 },
      MOE,
      ['expertParallel is 3, but the 8 experts must be divisible by it (nearest: 2, 4)'],
    ],
    [
      'expert ranks of a model without experts',
      { expertParallel: 2 },
      {},
      ['expertParallel is 2, but the model has no experts (nearest: 1)'],
    ],
    [
      'experts over tensor ranks too',
      { tensorParallel: 4, expertParallel: 4, expertsOverTensorRanks: true },
      MOE,
      [
        'expertParallel is 4, but the 8 experts must be divisible by it times tensorParallel (4) (nearest: 2)',
      ],
    ],
    [
      'more tail rows than there are rows',
      { vocabularyPadding: 'tail_rows' },
      { vocab: 10 },
      [
        'vocabularyPadding is tail_rows, but 118 rows of padding are more than the 10 rows there are (nearest: last_row)',
      ],
    ],
    [
      'DualPipe-V on one stage',
      { schedule: 'dualpipev' },
      {},
      ['schedule is dualpipev, but needs more than one pipeline stage (nearest: standard)'],
    ],
    [
      'numbers that are none',
      { tensorParallel: 0, pipelineParallel: 1.5, layersPerVirtualStage: -1 },
      {},
      [
        'tensorParallel is 0, but must be a whole number above 0 (nearest: 1)',
        'pipelineParallel is 1.5, but must be a whole number above 0 (nearest: 2)',
        'layersPerVirtualStage is -1, but must be a whole number above 0 (nearest: 1)',
      ],
    ],
  ])('finds %s', (_, changes, options, expected) => {
    expect(findings(changes, options)).toEqual(expected);
  });

  it('allows any vocabulary to be read: its files say how far it was padded', () => {
    expect(findings({ tensorParallel: 2 }, { vocab: 31 }, 'read')).toEqual([]);
  });

  it('is asked before a layout is made, and all findings are in one error', () => {
    const settings = { ...DEFAULT_MEGATRON_SETTINGS, tensorParallel: 3, expertParallel: 2 };
    expect(() => megatronLayout(tinyModel(), settings)).toThrow(
      /tensorParallel is 3.*expertParallel is 2, but the model has no experts/s,
    );
  });
});
