import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveIterations } from './derive-iterations.js';
import { parseMegatronDataSettings } from './megatron-settings.js';

describe('steps from counted samples', () => {
  it('follow the shell arithmetic of the scripts', () => {
    const plan = deriveIterations({ samples: 1200, globalBatchSize: 64, epochs: 5 });
    expect(plan).toEqual({
      trainIters: 90,
      samplesSeen: 5760,
      samplesAsked: 6000,
      text: [
        'SN = 1,200 samples, counted',
        'TRAIN_ITERS = ⌊SN / GBS⌋ · EPOCH = ⌊1,200 / 64⌋ · 5 = 90',
        'The steps of 64 take 5,760 samples and leave 240 out; 94 steps take all.',
      ],
    });
  });

  it('or take every sample when asked to', () => {
    const input = { samples: 1200, globalBatchSize: 64, epochs: 5, rounding: 'all' } as const;
    const plan = deriveIterations(input);
    expect(plan.trainIters).toBe(94);
    expect(plan.text.at(-1)).toBe(
      'The steps of 64 take 6,016 samples, 16 of them from a further epoch.',
    );
    const even = deriveIterations({ ...input, samples: 128 });
    expect(even.text.at(-1)).toBe('The steps of 64 take 640 samples: every one, in every epoch.');
  });

  it('are the least that see all samples, and the most of whole batches', () => {
    const size = fc.integer({ min: 1, max: 500 });
    fc.assert(
      fc.property(size, size, fc.integer({ min: 1, max: 9 }), (samples, batch, epochs) => {
        const input = { samples, globalBatchSize: batch, epochs };
        const { trainIters } = deriveIterations({ ...input, rounding: 'all' });
        expect(trainIters * batch).toBeGreaterThanOrEqual(samples * epochs);
        expect((trainIters - 1) * batch).toBeLessThan(samples * epochs);
        if (samples < batch) return;
        let steps = 0;
        for (let seen = batch; seen <= samples; seen += batch) steps++;
        expect(deriveIterations(input).trainIters).toBe(steps * epochs);
      }),
    );
  });

  it.each([
    [{ samples: 10, globalBatchSize: 16, epochs: 1 }, 'no whole batch of 16'],
    [{ samples: 10, globalBatchSize: 0, epochs: 1 }, 'GBS is 0'],
    [{ samples: 1.5, globalBatchSize: 1, epochs: 1 }, 'SN is 1.5'],
    [{ samples: 10, globalBatchSize: 1, epochs: 0 }, 'EPOCH is 0'],
  ])('are refused for %j', (input, message) => {
    expect(() => deriveIterations(input)).toThrow(message);
  });
});

describe('settings of a launch script', () => {
  const good = {
    MBS: '2',
    GBS: '64',
    SEQ_LEN: '4096',
    MAX_PE: '8192',
    EPOCH: '5',
    TP: '8',
    PP: '1',
    NNODES: '4',
    NPUS_PER_NODE: '8',
    LR: '2.5e-5',
    MIN_LR: '2.5e-6',
    MODEL_NAME: 'llama2-7b',
  };
  const keysOf = (settings: object, samples = 1200) =>
    parseMegatronDataSettings({ ...good, ...settings }, { samples }).findings.map(
      ({ key, severity, nearest }) => [key, severity, nearest],
    );

  it('count SN and derive what follows', () => {
    const settings = parseMegatronDataSettings(good, { samples: 1200 });
    expect(settings.findings).toEqual([]);
    expect(settings).toMatchObject({
      sampleCount: 1200,
      dataParallelSize: 4,
      microBatches: 8,
      iterations: { trainIters: 90 },
    });
  });

  it('say when the given SN or TRAIN_ITERS disagrees', () => {
    const { findings } = parseMegatronDataSettings(
      { ...good, SN: '1000', TRAIN_ITERS: 2000 },
      { samples: 1200, unit: 'packed rows' },
    );
    expect(findings.map(({ message }) => message)).toEqual([
      'SN is 1,000, but 1,200 packed rows were counted; the count is used',
      'TRAIN_ITERS is 2,000, 107 passes over the data; SN / GBS · EPOCH is 90',
    ]);
    expect(findings.every(({ severity }) => severity === 'warning')).toBe(true);
  });

  it.each<[object, unknown[]]>([
    [{ GBS: 63 }, [['GBS', 'error', [64, 56]]]],
    [{ GBS: 3 }, [['GBS', 'error', [8]]]],
    [{ TP: 5 }, [['TP', 'error', [4, 8]]]],
    [{ CP: 4, TP: 2, SEQ_LEN: 4100 }, [['SEQ_LEN', 'error', [4096, 4104]]]],
    [{ MAX_PE: 2048 }, [['MAX_PE', 'error', [4096]]]],
    [{ MIN_LR: 1 }, [['MIN_LR', 'error', [2.5e-5]]]],
    [{ MIN_LR: '0' }, []],
    [{ EPOCH: 'five' }, [['EPOCH', 'error', []]]],
    [{ MBS: '0' }, [['MBS', 'error', []]]],
    [{ GBS: 2048 }, [['GBS', 'error', [1200]]]],
    [{ SEQ_LEN: undefined, seq_length: 1, SEQLEN: 4096 }, [['SEQ_LEN', 'warning', []]]],
  ])('are held to the rules, with the nearest legal values: %j', (settings, findings) => {
    expect(keysOf(settings)).toEqual(findings);
  });

  it('name legal values that are legal', () => {
    const small = fc.integer({ min: 1, max: 16 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), small, small, (GBS, MBS, NPUS_PER_NODE) => {
        const settings = { GBS, MBS, NPUS_PER_NODE };
        const context = { samples: 1_000_000 };
        const [finding, ...more] = parseMegatronDataSettings(settings, context).findings;
        expect(more).toEqual([]);
        const legal = finding === undefined ? [GBS] : finding.nearest;
        expect(legal.length).toBeGreaterThan(0);
        for (const value of legal) {
          const fixed = parseMegatronDataSettings({ ...settings, GBS: value }, context);
          expect(fixed.findings).toEqual([]);
        }
      }),
    );
  });

  it('refuse samples longer than the sequence length', () => {
    const { findings } = parseMegatronDataSettings(good, { samples: 1200, longest: 5000 });
    expect(findings).toMatchObject([{ key: 'SEQ_LEN', severity: 'error', nearest: [5000] }]);
  });
});
