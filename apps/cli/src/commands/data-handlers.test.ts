import { describe, expect, it } from 'vitest';
import { runFake } from '../testing/fake-host.js';

describe('tuneyard data handlers', () => {
  it('lists every handler with its short names and what is learned', async () => {
    const run = await runFake(['data', 'handlers']);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(/BelleMultiTurnInstructionHandler +belle +instruction/);
    expect(run.stdout).toMatch(/AlpacaStylePairwiseHandler +alpaca-pairwise +pairwise +yes/);
  });

  it('shows one handler by a short name, also as JSON', async () => {
    const shown = await runFake(['data', 'handlers', 'moss']);
    expect(shown.stdout).toMatch(/^MOSSInstructionHandler\n.*short names +moss/s);
    const run = await runFake(['data', 'handlers', 'moss', '--json']);
    expect(JSON.parse(run.stdout).handler).toMatchObject({
      name: 'MOSSInstructionHandler',
      kind: 'instruction',
      needsTemplate: false,
    });
  });

  it('suggests the nearest names for one that is not known', async () => {
    const run = await runFake(['data', 'handlers', 'AlpacaStyleInstructonHandler']);
    expect(run.exitCode).not.toBe(0);
    expect(run.stderr).toContain('Did you mean AlpacaStyleInstructionHandler');
  });
});
