/** The families that Tuneyard knows, and how a file says which one it is. */
import type { FamilyName } from '../config/model-config.js';
import type { Family } from './family.js';
import { LLAMA } from './llama.js';
import { MISTRAL } from './mistral.js';
import { QWEN2 } from './qwen2.js';
import { QWEN3 } from './qwen3.js';

const FAMILIES: { readonly [N in FamilyName]: Family } = {
  llama: LLAMA,
  mistral: MISTRAL,
  qwen2: QWEN2,
  qwen3: QWEN3,
};

/** Class names in `architectures` that `parseModelConfig` accepts. */
export const KNOWN_ARCHITECTURES: readonly string[] = Object.values(FAMILIES).map(
  (family) => family.architecture,
);

/** Values of `general.architecture` that `openModel` accepts in GGUF files. */
export const KNOWN_GGUF_ARCHITECTURES: readonly string[] = [
  ...new Set(Object.values(FAMILIES).map((family) => family.ggufArchitecture)),
];

/** The table of a family. */
export function familyOf(name: FamilyName): Family {
  return FAMILIES[name];
}

/** Finds a family by its class name. */
export function familyByArchitecture(architecture: string): Family | undefined {
  return Object.values(FAMILIES).find((family) => family.architecture === architecture);
}

/** Finds a family by its `model_type`, for configurations without `architectures`. */
export function familyByModelType(modelType: string): Family | undefined {
  return Object.values(FAMILIES).find((family) => family.modelType === modelType);
}

/** Finds the first family that GGUF stores under the architecture. */
export function familyByGgufArchitecture(architecture: string): Family | undefined {
  return Object.values(FAMILIES).find((family) => family.ggufArchitecture === architecture);
}
