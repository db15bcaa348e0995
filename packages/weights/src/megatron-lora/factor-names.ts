/**
 * Names of adapted modules in Megatron checkpoints: PEFT's wrappers around Megatron's parallel layers.
 *
 * Source: PEFT `tuners/lora/tp_layer.py`; MindSpeed-LLM `training/checkpointing.py` (names on loading),
 * `tasks/checkpoint/convert_mg2hf.py` (lower-case spellings of experts).
 */

const FACTOR = /^(.+)\.lora_([AaBb])\.(?:default\.)?weight$/;

/** Name of the adapted weight and which factor a key is; null for other keys. */
export function parseFactorName(
  name: string,
): { readonly weight: string; readonly side: 'a' | 'b' } | null {
  const [, module, side] = FACTOR.exec(name) ?? [];
  if (module === undefined || side === undefined) return null;
  return { weight: `${module}.weight`, side: side.toLowerCase() === 'a' ? 'a' : 'b' };
}

/** True for everything that an adapter added to a checkpoint. */
export function isFactorName(name: string): boolean {
  return /\.lora_/i.test(name);
}

/** `….linear_qkv.weight` → `….linear_qkv.lora_A.default.weight`. */
export function factorName(weight: string, side: 'A' | 'B'): string {
  return `${moduleOf(weight)}.lora_${side}.default.weight`;
}

/** The name without the wrapper: `….linear_qkv.base_layer.bias` → `….linear_qkv.bias`. */
export function unwrappedName(name: string): string {
  return name.replace('.base_layer.', '.');
}

/** The name inside of the wrapper, for weights and biases of adapted modules. */
export function wrappedName(name: string): string {
  return name.replace(/\.(weight|bias)$/, '.base_layer.$1');
}

/** Path of a module from its weight's name. */
export function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, '');
}

/** Last part of a module's path, which target modules go by: `linear_qkv`. */
export function targetOf(weight: string): string {
  const module = moduleOf(weight);
  return module.slice(Math.max(module.lastIndexOf('.'), module.lastIndexOf('\u001f')) + 1);
}
