/** The number of parameters in words, as model names carry it: `7B`, `8x7B`. Source: gguf-py `utility.py` (`size_label`). */

/** Elements of a tensor and whether it holds experts. */
export interface CountedTensor {
  readonly name: string;
  /** Hugging Face order. */
  readonly shape: readonly number[];
}

/** Makes the label. Experts count once, their number stands before. */
export function sizeLabel(tensors: readonly CountedTensor[]): string {
  let shared = 0;
  let perExpert = 0;
  let experts = 0;
  for (const { name, shape } of tensors) {
    const elements = shape.reduce((product, n) => product * n, 1);
    const count = name.includes('_exps.') && shape.length === 3 ? (shape[0] ?? 1) : 0;
    if (count > 0) perExpert += elements / count;
    else shared += elements;
    experts = Math.max(experts, count);
  }
  return experts > 0 ? `${experts}x${rounded(shared + perExpert)}` : rounded(shared);
}

function rounded(count: number): string {
  const units = [
    [1e12, 'T'],
    [1e9, 'B'],
    [1e6, 'M'],
  ] as const;
  const [unit, suffix] = units.find(([size]) => count > size) ?? ([1e3, 'K'] as const);
  const scaled = count / unit;
  const digits = String(Math.round(scaled)).replace(/^0+/, '').length;
  return `${scaled.toFixed(Math.max(2 - digits, 0))}${suffix}`;
}
