import { describe, expect, it } from 'vitest';
import { type ConvertTurns, formatConvertTable, summariseConvert } from './bench-convert-report.js';

const turn = (seconds: number, peakRssMb: number) => ({ wallMs: 1000 * seconds, peakRssMb });

const there: ConvertTurns = {
  name: 'to-megatron',
  readBytes: 4e9,
  writeBytes: 4e9,
  turns: {
    tuneyard: [turn(2, 120), turn(1, 140), turn(9, 130)],
    torch: [turn(12, 8000), turn(10, 8100), turn(8, 8050)],
    copy: [turn(1.5, 90), turn(1.6, 90), turn(1.8, 90)],
  },
  isSame: true,
};

describe('the report of bench:convert', () => {
  it('divides medians, takes the worst case, and judges by the targets', () => {
    const back: ConvertTurns = {
      ...there,
      name: 'to-hf',
      turns: { ...there.turns, tuneyard: [turn(1, 99), turn(1, 99), turn(1, 99)] },
    };
    const result = summariseConvert([there, back], { rounds: 3, isDurable: false });
    expect(result.cases['to-megatron']).toMatchObject({
      tuneyard_s: 2,
      torch_s: 10,
      copy_s: 1.6,
      ratio: 5,
      best_ratio: 8,
      copy_ratio: 0.8,
      gb_per_s: 2,
      peak_mb: 140,
    });
    expect(result).toMatchObject({ ratio: 5, copy_ratio: 0.8, peak_mb: 140 });
    expect(result.targets.met).toBe(true);
  });

  it('does not meet targets with other tensors than torch, or without torch', () => {
    const other = summariseConvert([{ ...there, isSame: false }], { rounds: 3, isDurable: false });
    expect(other.targets.met).toBe(false);
    const { tuneyard, copy } = there.turns;
    const alone = { ...there, turns: { tuneyard: tuneyard!, copy: copy! }, isSame: null };
    const without = summariseConvert([alone], { rounds: 3, isDurable: true });
    expect(without).toMatchObject({ ratio: null, durable: true, targets: { met: false } });
    expect(formatConvertTable(without)).toContain('–');
  });
});
