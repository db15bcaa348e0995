/** Puts token ids end to end. */

/** Joins lists of ids. */
export function concatenateIds(parts: readonly (Int32Array | readonly number[])[]): Int32Array {
  const only = parts[0];
  if (parts.length === 1 && only instanceof Int32Array) return only;
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}
