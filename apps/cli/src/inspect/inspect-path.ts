/** Inspects a path of whatever kind. */
import { stat } from 'node:fs/promises';
import { type ContentKind, detectContent, detectPayload, findGgufFile } from './detect-content.js';
import { inspectAdapter } from './inspect-adapter.js';
import { inspectGguf } from './inspect-gguf.js';
import { inspectModel } from './inspect-model.js';
import { inspectSafetensors } from './inspect-safetensors.js';
import { inspectTokenizer } from './inspect-tokenizer.js';
import type { Inspection } from './inspection.js';

/** Finds out what a path holds and inspects it; the caller closes the result. */
export async function inspectPath(path: string): Promise<Inspection> {
  return await inspectAs(path, await detectContent(path));
}

async function inspectAs(path: string, kind: ContentKind): Promise<Inspection> {
  switch (kind) {
    case 'artifact':
      return await inspectArtifact(path);
    case 'model':
      return await inspectModel(path);
    case 'adapter':
      return await inspectAdapter(path);
    case 'tokenizer':
      return await inspectTokenizer(path);
    case 'safetensors':
      return await inspectSafetensors(path);
    case 'torch':
      return await (await import('./inspect-torch.js')).inspectTorch(path);
    case 'megatron':
      return await (await import('./inspect-torch.js')).inspectMegatron(path);
    case 'distributed':
      return await (await import('./inspect-distributed.js')).inspectDistributed(path);
    case 'gguf':
      return await inspectGguf(await ggufFile(path));
  }
}

/** An artifact's own facts, followed by those of what it holds. */
async function inspectArtifact(directory: string): Promise<Inspection> {
  const { inspectManifest } = await import('./inspect-artifact.js');
  const outer = await inspectManifest(directory);
  const payload = await detectPayload(directory);
  if (payload === undefined) return outer;
  const inner = await inspectAs(directory, payload);
  return {
    ...inner,
    kind: `artifact: ${inner.kind}`,
    sections: [...outer.sections, ...inner.sections],
    document: { ...outer.document, ...inner.document },
  };
}

async function ggufFile(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? ((await findGgufFile(path)) ?? path) : path;
}
