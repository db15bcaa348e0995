import { describe, expect, it } from 'vitest';
import { hfNames } from './hf-names.js';

const EXPECTED = ['model.embed_tokens.weight', 'model.norm.weight', 'lm_head.weight'];

const mapped = (names: string[]): Record<string, string | null> | null => {
  const found = hfNames(names, EXPECTED);
  return found === null ? null : Object.fromEntries(found);
};

describe('names of a model in a checkpoint', () => {
  it('are taken as they are when nothing is in front', () => {
    expect(mapped([...EXPECTED, 'optimizer.step', 'step'])).toEqual({
      'model.embed_tokens.weight': 'model.embed_tokens.weight',
      'model.norm.weight': 'model.norm.weight',
      'lm_head.weight': 'lm_head.weight',
      'optimizer.step': null,
      step: null,
    });
  });

  it.each(['model.', 'app.model.', 'state_dict.', 'module.', 'policy.module.'])(
    'are found behind %s',
    (prefix) => {
      const names = EXPECTED.map((name) => `${prefix}${name}`);
      const found = mapped([...names, `optim.exp_avg.${names[0]}`, 'lr_scheduler.last']);
      expect(found).toEqual({
        ...Object.fromEntries(names.map((name, i) => [name, EXPECTED[i]])),
        [`optim.exp_avg.${names[0]}`]: null,
        'lr_scheduler.last': null,
      });
    },
  );

  it('are freed of the modules that wrappers put between', () => {
    expect(
      mapped([
        'model._orig_mod.model.embed_tokens.weight',
        'model._orig_mod.model.norm._checkpoint_wrapped_module.weight',
        'model._orig_mod._fsdp_wrapped_module.lm_head.weight',
      ]),
    ).toEqual({
      'model._orig_mod.model.embed_tokens.weight': 'model.embed_tokens.weight',
      'model._orig_mod.model.norm._checkpoint_wrapped_module.weight': 'model.norm.weight',
      'model._orig_mod._fsdp_wrapped_module.lm_head.weight': 'lm_head.weight',
    });
  });

  it('are those of the model where an average of it is kept as well', () => {
    const found = mapped([
      ...EXPECTED.map((name) => `ema.${name}`),
      ...EXPECTED.map((name) => `model.${name}`),
      ...EXPECTED.map((name) => `a.longer.${name}`),
    ]);
    const own = Object.entries(found ?? {}).flatMap(([key, name]) => (name === null ? [] : [key]));
    expect(own).toEqual(EXPECTED.map((name) => `model.${name}`));
  });

  it('are not found where there is no embedding', () => {
    expect(mapped(['weight', 'optimizer.model.embed_tokens.weight'])).toBeNull();
  });
});
