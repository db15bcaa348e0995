import { describe, expect, it } from 'vitest';
import { parseBenchOptions } from './bench-options.js';

describe('parseBenchOptions', () => {
  it('measures everything when nothing is said', () => {
    expect(parseBenchOptions([])).toMatchObject({
      rounds: 5,
      threads: [1, 2],
      bases: ['bf16', 'q8_0', 'q4_K'],
      shape: '110m',
      isQuick: false,
      isJsonOnly: false,
    });
  });

  it('reads lists', () => {
    const args = ['--threads', '4, 1', '--base', 'q4_K', '--rounds', '7', '--json'];
    expect(parseBenchOptions(args)).toMatchObject({
      threads: [4, 1],
      bases: ['q4_K'],
      rounds: 7,
      isJsonOnly: true,
    });
  });

  it('runs one step of one round when quick', () => {
    expect(parseBenchOptions(['--quick'])).toMatchObject({ rounds: 1, stepsPerTurn: 1 });
  });

  it('answers a call for help with null', () => {
    expect(parseBenchOptions(['--help'])).toBeNull();
  });

  it.each([
    [['--rounds', '0'], '--rounds 0'],
    [['--rounds', 'five'], '--rounds five'],
    [['--threads', '1,1'], '--threads 1,1'],
    [['--threads', ''], '--threads'],
    [['--base', 'q5_0'], '--base q5_0: allowed are bf16, q8_0, q4_K'],
    [['--shape', 'huge'], '--shape huge'],
    [['--turbo'], '--turbo'],
    [['now'], 'now'],
  ])('refuses %j', (args, message) => {
    expect(() => parseBenchOptions(args)).toThrow(message);
  });
});
