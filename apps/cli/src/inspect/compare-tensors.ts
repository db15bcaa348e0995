/** Differences between the tensors of two checkpoints. */
import type { TensorTable } from './inspection.js';

/** How one tensor differs. */
export interface TensorDifference {
  readonly name: string;
  /** `only_here`, `only_there`: in one of the two. `form`: another shape or type. `values`: other numbers. */
  readonly kind: 'only_here' | 'only_there' | 'form' | 'values';
  /** In words. */
  readonly what: string;
  /** Largest absolute difference and root mean square of differences; null where values were not compared. */
  readonly largest: number | null;
  readonly rms: number | null;
}

/** What a comparison found. */
export interface TensorComparison {
  readonly compared: number;
  readonly equal: number;
  readonly differences: readonly TensorDifference[];
}

/** Compares names, forms and every value. `onTensor` is told how many are done. */
export async function compareTensors(
  here: TensorTable,
  there: TensorTable,
  options: { readonly signal: AbortSignal; readonly onTensor: (done: number) => void },
): Promise<TensorComparison> {
  const others = new Map(there.lines.map((line) => [line.name, line]));
  const differences: TensorDifference[] = [];
  let equal = 0;
  for (const [done, line] of here.lines.entries()) {
    options.signal.throwIfAborted();
    options.onTensor(done);
    const other = others.get(line.name);
    others.delete(line.name);
    if (other === undefined) {
      differences.push(withoutValues(line.name, 'only_here', 'only in the first'));
      continue;
    }
    const found = await compareOne(line, other, { here, there });
    if (found === null) equal++;
    else differences.push(found);
  }
  for (const name of others.keys()) {
    differences.push(withoutValues(name, 'only_there', 'only in the second'));
  }
  return { compared: here.lines.length, equal, differences };
}

type Line = TensorTable['lines'][number];

async function compareOne(
  line: Line,
  other: Line,
  tables: { readonly here: TensorTable; readonly there: TensorTable },
): Promise<TensorDifference | null> {
  const { name } = line;
  const [a, b] = [formOf(line), formOf(other)];
  if (line.shape.join() !== other.shape.join()) return withoutValues(name, 'form', `${a}, ${b}`);
  const values = await tables.here.readValues(name);
  const { largest, rms } = distance(values, await tables.there.readValues(name));
  if (largest > 0) {
    const what = `by ${largest.toPrecision(3)} at most, ${rms.toPrecision(3)} rms`;
    return { name, kind: 'values', what, largest, rms };
  }
  return a === b ? null : withoutValues(name, 'form', `${a}, ${b}; equal values`);
}

function formOf({ dtype, shape }: Line): string {
  return `${dtype.toUpperCase()} ${shape.join(' × ')}`;
}

/** Two values that are not numbers are equal to one another, and infinitely far from any other. */
function distance(
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
): { readonly largest: number; readonly rms: number } {
  let largest = 0;
  let squares = 0;
  for (let i = 0; i < a.length; i++) {
    const [x = 0, y = 0] = [a[i], b[i]];
    if (Object.is(x, y) || x === y) continue;
    const step = Math.abs(x - y);
    const found = Number.isNaN(step) ? Number.POSITIVE_INFINITY : step;
    largest = Math.max(largest, found);
    squares += found * found;
  }
  return { largest, rms: Math.sqrt(squares / Math.max(1, a.length)) };
}

function withoutValues(
  name: string,
  kind: TensorDifference['kind'],
  what: string,
): TensorDifference {
  return { name, kind, what, largest: null, rms: null };
}
