/** Checks that the tensors of a model's files are the parameters that its configuration implies. */
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** How many names an error message lists before it counts the rest. */
const NAMES_SHOWN = 8;

/** The error for parameters that are not in the files. */
export function missingTensors(
  path: string,
  names: readonly string[],
  hint?: string,
): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MISSING_TENSOR,
    `${path}: ${names.length} parameter(s) missing: ${listNames(names)}`,
    {
      details: { file: path, missing: names.slice(0, NAMES_SHOWN), count: names.length },
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

/** The error for tensors that no parameter explains. */
export function unexpectedTensors(path: string, names: readonly string[]): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNEXPECTED_TENSOR,
    `${path}: ${names.length} tensor(s) belong to no parameter of the architecture: ${listNames(names)}`,
    {
      details: { file: path, unexpected: names.slice(0, NAMES_SHOWN), count: names.length },
      hint: 'The configuration probably describes another model; compare layer count and biases.',
    },
  );
}

/** Throws `WEIGHTS_TENSOR_SHAPE` unless the shapes are equal. */
export function checkShape(
  path: string,
  name: string,
  shapes: { readonly found: readonly number[]; readonly expected: readonly number[] },
): void {
  const { found, expected } = shapes;
  if (found.length === expected.length && found.every((n, i) => n === expected[i])) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_SHAPE,
    `${path}: ${name} has shape [${found.join(', ')}]; the configuration implies [${expected.join(', ')}]`,
    { details: { file: path, tensor: name, found: [...found], expected: [...expected] } },
  );
}

/** The error for an element type that weights cannot have. */
export function unusableType(path: string, name: string, type: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_DTYPE,
    `${path}: ${name} is stored as ${type}; weights may be F32, F16, BF16 or, in GGUF, quantized`,
    { details: { file: path, tensor: name, type } },
  );
}

/** The error for a name that the model has no parameter of. */
export function unknownParameter(path: string, name: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_PARAMETER,
    `${path}: no parameter is called ${name}`,
    { category: 'not_found', details: { file: path, tensor: name } },
  );
}

const NOT_WEIGHTS: ReadonlySet<GgmlTypeName> = new Set<GgmlTypeName>([
  'i8',
  'i16',
  'i32',
  'i64',
  'f64',
  'q8_1',
  'q8_K',
]);

/** True when a ggml type may hold weights: floats and the quantized storage types. */
export function isWeightType(type: GgmlTypeName): boolean {
  return !NOT_WEIGHTS.has(type);
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}
