import { TuneyardError } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { overrideRecipe, parseOverride } from './override-recipe.js';

const flat = `### model
model_name_or_path: base # keep me
learning_rate: 1.0e-4
`;

describe('parseOverride', () => {
  it('reads values as YAML', () => {
    expect(parseOverride('learning_rate=1e-5').value).toBe(1e-5);
    expect(parseOverride('bf16=true').value).toBe(true);
    expect(parseOverride('dataset=a,b').value).toBe('a,b');
    expect(parseOverride('data.train=[a.json, b.json]')).toEqual({
      path: ['data', 'train'],
      value: ['a.json', 'b.json'],
    });
    expect(parseOverride('default_system=a=b').value).toBe('a=b');
    expect(parseOverride('eval_dataset=').value).toBeNull();
  });

  it.each(['learning_rate', '=1', '--x=1', 'a=[', 'a b=1'])('refuses %j', (text) => {
    expect(() => parseOverride(text)).toThrow(TuneyardError);
  });
});

describe('overrideRecipe', () => {
  it('changes and adds keys and keeps comments and the lines of the rest', () => {
    const text = overrideRecipe(flat, [
      parseOverride('learning_rate=0.5'),
      parseOverride('lora_rank=4'),
    ]);
    expect(parse(text)).toEqual({ model_name_or_path: 'base', learning_rate: 0.5, lora_rank: 4 });
    expect(text.split('\n').slice(0, 2)).toEqual(flat.split('\n').slice(0, 2));
  });

  it('leads into sections, makes missing ones, and replaces one that is no section', () => {
    const text = 'name: x\ntrain:\n  seed: 1\nmerge:\n';
    const changed = overrideRecipe(text, [
      parseOverride('train.seed=2'),
      parseOverride('evaluate.samples=3'),
      parseOverride('merge.dtype=f32'),
    ]);
    expect(parse(changed)).toEqual({
      name: 'x',
      train: { seed: 2 },
      evaluate: { samples: 3 },
      merge: { dtype: 'f32' },
    });
  });

  it('leaves text alone that is no YAML map', () => {
    const change = [parseOverride('a=1')];
    expect(overrideRecipe('- 1\n', change)).toBe('- 1\n');
    expect(overrideRecipe('a: [', change)).toBe('a: [');
  });
});
