/**
 * What a key of an adapter file names.
 *
 * Source: PEFT `docs/source/developer_guides/checkpoint.md`, `peft/utils/save_and_load.py`. State dicts that were
 * saved by hand carry the adapter's name (`default`), which PEFT's own files do not.
 */

/** Prefix of every key: the two wrappers that PEFT puts around a model. */
export const PEFT_PREFIX = 'base_model.model.';

/** Kinds of tensors in an adapter file. */
export type PeftKeyKind =
  | 'a'
  | 'b'
  | 'b_bias'
  | 'embedding_a'
  | 'embedding_b'
  | 'magnitude'
  | 'weight'
  | 'bias';

/** A key that is understood. */
export interface PeftKey {
  readonly kind: PeftKeyKind;
  /** Module path in the base model. */
  readonly module: string;
}

const FORMS: readonly (readonly [RegExp, PeftKeyKind])[] = [
  [/^(.+)\.lora_A(?:\.default)?\.weight$/, 'a'],
  [/^(.+)\.lora_B(?:\.default)?\.weight$/, 'b'],
  [/^(.+)\.lora_B(?:\.default)?\.bias$/, 'b_bias'],
  [/^(.+)\.lora_embedding_A(?:\.default)?$/, 'embedding_a'],
  [/^(.+)\.lora_embedding_B(?:\.default)?$/, 'embedding_b'],
  [/^(.+)\.lora_magnitude_vector(?:\.default)?(?:\.weight)?$/, 'magnitude'],
  [/^((?:(?!lora_).)+?)(?:\.base_layer|\.modules_to_save(?:\.default)?)?\.weight$/, 'weight'],
  [/^((?:(?!lora_).)+?)(?:\.base_layer|\.modules_to_save(?:\.default)?)?\.bias$/, 'bias'],
];

/** Parses a key; null for one that no form explains. */
export function parsePeftKey(key: string): PeftKey | null {
  if (!key.startsWith(PEFT_PREFIX)) return null;
  const rest = key.slice(PEFT_PREFIX.length);
  for (const [form, kind] of FORMS) {
    const module = form.exec(rest)?.[1];
    if (module !== undefined) return { kind, module };
  }
  return null;
}

/** Last part of a module path. */
export function leafOf(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}
