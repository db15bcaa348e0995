import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SafetensorsReader } from '@tuneyard/formats';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { executeConversion } from '../src/convert/execute/execute-conversion.js';
import { interpretPlan, type PlanOnDisk, randomPlan } from './plan-interpreter.js';

const plans: PlanOnDisk[] = [];
afterEach(() => {
  for (const plan of plans.splice(0)) plan.remove();
});

function open(seed: number, sizeMax?: number): PlanOnDisk & { out: string } {
  const made = randomPlan(seed, sizeMax);
  plans.push(made);
  return { ...made, out: join(made.dir, 'out') };
}

async function expectOutput({ plan, out, sourceBytes }: ReturnType<typeof open>): Promise<void> {
  const expected = interpretPlan(plan, (file) => sourceBytes.get(file)!);
  for (const file of plan.files) {
    await using reader = await SafetensorsReader.open(join(out, file.path));
    expect([...reader.tensors.keys()].sort()).toEqual(file.tensors.map(({ name }) => name).sort());
    for (const { name } of file.tensors) {
      const bytes = expected.get(`${file.path}\n${name}`)!;
      expect(Buffer.compare(await reader.read(name), bytes)).toBe(0);
    }
  }
}

describe('executeConversion', () => {
  it('writes what a naive interpreter of the plan computes, for any plan', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1e9 }), async (seed) => {
        const made = open(seed);
        await executeConversion(made.plan, made.out, { isDurable: false });
        await expectOutput(made);
        expect(readdirSync(made.out).filter((name) => name.startsWith('.'))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
