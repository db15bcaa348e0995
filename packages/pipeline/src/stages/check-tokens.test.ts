import { fileURLToPath } from 'node:url';
import { finishReport, type TokenSet } from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import type { StageEvent } from '../executor/run-event.js';
import { checkTokens } from './check-tokens.js';

const modelPath = fileURLToPath(
  new URL('../../../../assets/models/stories260k-hf', import.meta.url),
);
const nothing = { sources: [], lengths: [], truncated: { count: 0, rows: [] } };
const report = finishReport({ ...nothing, split: nothing.truncated, dropped: {} });

/** Samples that begin with BOS (1) and learn two tokens and the stop token (2). */
function setOf(...changes: { ids?: number[]; learned?: number[] }[]): TokenSet {
  const samples = changes.map(({ ids, learned }, i) => ({
    ids: Int32Array.from(ids ?? [1, 300, 301, 302, 303, 2]),
    learned: Uint8Array.from(learned ?? [0, 0, 0, 1, 1, 1]),
    row: i + 1,
    source: 'd',
  }));
  const meta = { vocabSize: 512, template: 'auto', cutoffLength: 64, stopTokenIds: [2] };
  return { samples, meta, report };
}

async function check(set: TokenSet, ignored: 'all' | string[] = []): Promise<StageEvent[]> {
  const events: StageEvent[] = [];
  const emit = (event: StageEvent): void => void events.push(event);
  await checkTokens(set, { emit }, { modelPath, ignored, cutoffLength: 64 });
  return events;
}

describe('checkTokens', () => {
  it('lets sound samples pass', async () => {
    expect(await check(setOf({}, {}))).toEqual([]);
  });

  it.each([
    ['double_bos', { ids: [1, 1, 301, 302, 303, 2] }],
    ['all_masked', { learned: [0, 0, 0, 0, 0, 0] }],
    ['stop_not_learned', { ids: [1, 300, 301, 302, 303, 304] }],
  ])('refuses %s, naming the row, unless it is ignored', async (code, change) => {
    const set = setOf({}, change);
    await expect(check(set)).rejects.toMatchObject({
      code: 'TRAIN_DATA_REFUSED',
      message: expect.stringContaining('d, row 2'),
      details: { findings: expect.arrayContaining([code]) },
    });
    const found = await check(set).catch((error) => error.details.findings as string[]);
    await expect(check(set, found as string[])).resolves.toBeDefined();
    await expect(check(set, 'all')).resolves.toEqual([]);
  });
});
