import { describe, expect, it } from 'vitest';
import type { ArtifactManifest } from '../artifacts/manifest.js';
import { hashOf } from '../fingerprint/canonical-json.js';
import { parseRecipe } from '../recipe/read-recipe.js';
import { explainChange } from './explain-change.js';
import { type StageSpec, stageSpecs } from './stage-specs.js';

const FULL = `name: quick
model: { model_name_or_path: ../m, base_type: auto }
data: { train: [a.jsonl], validation: [v.jsonl], cutoff_len: 64, preprocessing_num_workers: 2 }
train: { lora_rank: 4, learning_rate: 1e-4, num_train_epochs: 1, threads: 1, logging_steps: 5 }
evaluate: { samples: 8 }
merge: { dtype: f32 }
export: { gguf: [f16, q8_0], peft: true }
report: { title: A }
`;

const set = (name: string): { path: string; description: { name: string } } => ({
  path: `/d/${name}.jsonl`,
  description: { name },
});

function specsOf(text: string): readonly StageSpec[] {
  const recipe = parseRecipe(text, '/r/recipe.yaml');
  return stageSpecs(recipe, {
    train: (recipe.data.train ?? []).map(set),
    validation: (recipe.data.validation ?? []).map(set),
  });
}

/** Fingerprints as a plan would, with the path itself standing for the content of an external input. */
function fingerprints(text: string): Map<string, string> {
  const known = new Map<string, string>();
  for (const spec of specsOf(text)) {
    const inputs = Object.fromEntries(
      Object.entries(spec.inputs).map(([role, input]) => [
        role,
        input.from === 'stage' ? known.get(input.stageId)! : `${input.path}:${input.files}`,
      ]),
    );
    known.set(spec.id, hashOf({ kind: spec.kind, parameters: spec.parameters, inputs }));
  }
  return known;
}

function changedStages(from: string, to: string): string[] {
  const before = fingerprints(FULL);
  const after = fingerprints(FULL.replace(from, to));
  return [...after.keys()].filter((id) => after.get(id) !== before.get(id) && id !== 'report');
}

describe('stageSpecs', () => {
  it('orders the stages so that every input comes from an earlier one', () => {
    const specs = specsOf(FULL);
    expect(specs.map((spec) => spec.id)).toEqual([
      'preprocess-train',
      'preprocess-validation',
      'evaluate-before',
      'train',
      'evaluate-after',
      'merge',
      'export-peft',
      'export-gguf-f16',
      'export-gguf-q8_0',
      'report',
    ]);
    const seen = new Set<string>();
    for (const spec of specs) {
      for (const input of Object.values(spec.inputs)) {
        if (input.from === 'stage') expect(seen.has(input.stageId)).toBe(true);
      }
      seen.add(spec.id);
    }
  });

  const training = ['train', 'evaluate-after', 'merge', 'export-peft', 'export-gguf-f16'];
  const trained = [...training, 'export-gguf-q8_0'];

  it.each([
    ['learning_rate: 1e-4', 'learning_rate: 2e-4', trained],
    ['lora_rank: 4', 'lora_rank: 8', trained],
    ['dtype: f32', 'dtype: bf16', ['merge', 'export-gguf-f16', 'export-gguf-q8_0']],
    ['samples: 8', 'samples: 9', ['evaluate-before', 'evaluate-after']],
    [
      'cutoff_len: 64',
      'cutoff_len: 32',
      ['preprocess-train', 'preprocess-validation', 'evaluate-before', ...trained],
    ],
    ['[a.jsonl]', '[b.jsonl]', ['preprocess-train', ...trained]],
    ['base_type: auto', 'base_type: q8_0', ['evaluate-before', ...trained]],
    ['gguf: [f16, q8_0]', 'gguf: [f16, bf16]', ['export-gguf-bf16']],
    ['threads: 1', 'threads: 2', []],
    ['logging_steps: 5', 'logging_steps: 1', []],
    ['preprocessing_num_workers: 2', 'preprocessing_num_workers: 1', []],
    ['title: A', 'title: B', []],
    ['name: quick', 'name: other', ['export-gguf-f16', 'export-gguf-q8_0']],
  ])('changing %s to %s touches only what depends on it', (from, to, expected) => {
    expect(changedStages(from, to)).toEqual(expected);
  });

  it('splits the training data when val_size asks for it', () => {
    const text = FULL.replace('validation: [v.jsonl], ', 'val_size: 0.1, ');
    const [train, validation] = specsOf(text);
    expect(train!.parameters).toMatchObject({
      part: 'train',
      'data.val_size': 0.1,
      'train.seed': 42,
    });
    expect(validation!.parameters).toMatchObject({ part: 'validation' });
    expect(validation!.inputs['data0']).toEqual(train!.inputs['data0']);
  });

  it('leaves out what is not asked for', () => {
    const ids = specsOf(
      'name: q\nmodel: { model_name_or_path: m }\ndata: { train: a.jsonl }\n',
    ).map((spec) => spec.id);
    expect(ids).toEqual(['preprocess-train', 'train', 'report']);
  });

  it('converts and evaluates trained weights directly when all of them are trained', () => {
    const specs = specsOf(
      FULL.replace('lora_rank: 4', 'finetuning_type: full').replace(', peft: true', ''),
    );
    const find = (id: string): StageSpec => specs.find((spec) => spec.id === id)!;
    expect(find('train').artifactKind).toBe('model');
    expect(Object.keys(find('merge').inputs)).toEqual(['model']);
    expect(find('evaluate-after').inputs['model']).toEqual({ from: 'stage', stageId: 'train' });
    expect(specs.some((spec) => spec.id === 'export-peft')).toBe(false);
  });

  it('trains on prepared tokens without a preprocess stage', () => {
    const prepared = 'tokenized_path: out/alpaca, tokenized_validation_path: out/held';
    const specs = specsOf(FULL.replace('train: [a.jsonl], validation: [v.jsonl]', prepared));
    expect(specs.map((spec) => spec.kind)).not.toContain('preprocess');
    const train = specs.find((spec) => spec.kind === 'train');
    const tokens = (path: string) => ({ from: 'path', path, files: 'tokens' });
    expect(train?.inputs['train']).toEqual(tokens('/r/out/alpaca'));
    expect(train?.inputs['validation']).toEqual(tokens('/r/out/held'));
  });

  it('converts the base by itself, alike for every training of one layout', () => {
    const layout = 'megatron: { tensor_model_parallel_size: 2, result: true }\n';
    const specs = specsOf(FULL + layout);
    const other = specsOf(FULL.replace('lora_rank: 4', 'lora_rank: 8') + layout);
    const baseOf = (all: readonly StageSpec[]) => all.find(({ id }) => id === 'convert-base');
    expect(baseOf(specs)).toMatchObject({ kind: 'convert', inputs: { model: { files: 'model' } } });
    expect(baseOf(other)).toEqual(baseOf(specs));
    expect(specs.find(({ id }) => id === 'export-megatron')?.inputs).toEqual({
      model: { from: 'stage', stageId: 'merge' },
    });
  });
});

describe('explainChange', () => {
  const parameters = { 'train.learning_rate': 1e-4, 'train.seed': 1 };
  const fingerprint = 'aa'.repeat(32);
  const inputs = { train: { from: 'stage', stageId: 'preprocess-train', fingerprint } } as const;
  const last = {
    fingerprint,
    stageVersion: 1,
    parameters,
    parents: [{ role: 'train', fingerprint, artifact: 'tokens/x', path: null }],
  } as unknown as ArtifactManifest;
  const now = { fingerprint: 'bb'.repeat(32), version: 1, parameters, inputs };

  it('names what is different, in recipe terms', () => {
    const faster = { ...parameters, 'train.learning_rate': 2e-4 };
    expect(explainChange({ ...now, parameters: faster }, last)).toBe(
      'changed: train.learning_rate 1e-4 → 2e-4',
    );
    const other = { train: { ...inputs.train, fingerprint: 'cc'.repeat(32) } };
    expect(explainChange({ ...now, inputs: other }, last)).toBe(
      'changed: result of preprocess-train',
    );
    expect(explainChange({ ...now, version: 2 }, last)).toBe(
      'changed: code of the stage, version 1 → 2',
    );
    const file = { train: { from: 'path', path: '/d/a', fingerprint: 'cc'.repeat(32) } } as const;
    expect(explainChange({ ...now, inputs: file }, last)).toBe('changed: content of /d/a');
  });

  it('tells a first time, a damaged artifact and many changes', () => {
    expect(explainChange(now, null)).toBe('not made yet');
    expect(explainChange({ ...now, fingerprint }, last)).toBe('its artifact is damaged');
    const many = { a: 1, b: 'x', c: true, d: [1], 'train.seed': 1 };
    expect(explainChange({ ...now, parameters: many }, last)).toBe(
      'changed: train.learning_rate 1e-4 → not set, a not set → 1, b not set → x and 2 more',
    );
  });
});
