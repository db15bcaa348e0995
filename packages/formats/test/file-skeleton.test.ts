import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { planSafetensorsSkeleton, writeSafetensors } from '../src/index.js';
import { useTemporaryDirectory } from './temporary-directory.js';

describe('a plan of a safetensors file', () => {
  const directory = useTemporaryDirectory();
  const specs = [
    { name: 'b', dtype: 'F32', shape: [2, 3] },
    { name: '10', dtype: 'BF16', shape: [5] },
    { name: 'e', dtype: 'I64', shape: [0] },
    { name: 'a', dtype: 'F64', shape: [] },
  ] as const;
  const metadata = { format: 'pt' };

  it('gives the bytes that the writer gives, whatever the order of the tensors', async () => {
    const skeleton = planSafetensorsSkeleton(specs, metadata, 'plan');
    const data = new Map(
      [...skeleton.tensors].map(([name, { byteLength }]) => [
        name,
        Uint8Array.from({ length: byteLength }, (_, i) => name.length * 50 + i),
      ]),
    );
    const file = Buffer.alloc(skeleton.size);
    for (const [name, { begin }] of [...skeleton.tensors].reverse())
      file.set(data.get(name)!, begin);
    for (const { at, bytes } of skeleton.fixed()) file.set(bytes, at);
    const path = directory.path('written.safetensors');
    const entries = specs.map((spec) => ({ ...spec, data: data.get(spec.name)! }));
    await writeSafetensors(path, entries, { metadata });
    expect(file).toEqual(await readFile(path));
    expect(skeleton.needsCrc).toBe(false);
  });

  it('refuses what the writer refuses', () => {
    const twice = [specs[0], specs[0]];
    expect(() => planSafetensorsSkeleton(twice, metadata, 'plan')).toThrow('used twice');
  });
});
