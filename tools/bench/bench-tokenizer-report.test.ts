import { describe, expect, it } from 'vitest';
import type { TokenizerTurnReport } from './bench-tokenizer-child.js';
import {
  formatTokenizerTable,
  summariseTokenizers,
  type TokenizerTurns,
} from './bench-tokenizer-report.js';

function turn(coldMs: number, sustainedMs: number, checksum = 7): TokenizerTurnReport {
  const pass = (bytes: number, wallMs: number) => ({
    bytes,
    tokens: bytes / 4,
    checksum,
    wallMs,
    cpuMs: wallMs * 2,
  });
  return {
    loadMs: 100,
    cold: pass(12e6, coldMs),
    sustained: pass(24e6, sustainedMs),
    peakRssMb: 250.4,
  };
}

const ours = [turn(900, 500), turn(600, 400), turn(500, 300)];
const theirs = [turn(6000, 8000), turn(4500, 4000), turn(3000, 2000)];

function entry(
  candidate: TokenizerTurns['candidate'],
  vocabulary: TokenizerTurns['vocabulary'],
  turns: readonly TokenizerTurnReport[],
): TokenizerTurns {
  return { candidate, vocabulary, turns };
}

describe('the summary of bench:tokenizer', () => {
  it('takes medians over the rounds and the least ratio over the vocabularies', () => {
    const result = summariseTokenizers([
      entry('tokenizers', 'qwen3', theirs),
      entry('tuneyard', 'qwen3', ours),
      entry('tuneyard', 'mistral', ours),
      entry('tokenizers', 'mistral', [turn(6000, 3600)]),
    ]);
    expect(result).toMatchObject({ ratio: 9, cold_ratio: 7.5, same_ids: true });
    expect(result.vocabularies.qwen3?.tuneyard).toMatchObject({
      sustained_mb_per_s: 60,
      sustained_min: 48,
      sustained_max: 80,
      cold_mb_per_s: 20,
      tokens_per_s: 15e6,
      sustained_ratio: null,
      same_ids: null,
    });
    expect(result.vocabularies.qwen3?.tokenizers).toMatchObject({
      sustained_ratio: 10,
      sustained_cpu_ratio: 10,
      cold_ratio: 7.5,
      same_ids: true,
    });
    expect(result.targets).toEqual({ sustained: 8, cold: 5, met: true });
    expect(formatTokenizerTable(result)).toContain('60.0 [48.0–80.0]');
  });

  it('meets no target with other ids, with less speed, or without the reference', () => {
    const others = [turn(6000, 8000, 8)];
    const result = summariseTokenizers([
      entry('tuneyard', 'qwen3', ours),
      entry('tokenizers', 'qwen3', others),
    ]);
    expect(result).toMatchObject({ same_ids: false, targets: { met: false } });
    expect(formatTokenizerTable(result)).toContain('NO');
    const slow = [entry('tuneyard', 'qwen3', ours), entry('tokenizers', 'qwen3', ours)];
    expect(summariseTokenizers(slow)).toMatchObject({ ratio: 1, targets: { met: false } });
    expect(summariseTokenizers([entry('tuneyard', 'qwen3', ours)])).toMatchObject({
      ratio: null,
      targets: { met: false },
    });
  });
});
