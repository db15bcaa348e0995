/** Values of the benches' options. */

const COUNT_MAX = 1000;

/** A whole number from 1 to 1000. Throws: an `Error` that names the option and what it may be. */
export function parseCount(option: string, text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > COUNT_MAX) {
    throw new Error(`${option} ${text}: allowed are whole numbers from 1 to ${COUNT_MAX}`);
  }
  return count;
}

/** One of the known names. Throws: an `Error` that names the option and the names. */
export function parseName<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text.trim());
  if (found === undefined) throw new Error(`${option} ${text}: allowed are ${known.join(', ')}`);
  return found;
}

/** Known names between commas. Throws: as {@link parseName}. */
export function parseNames<T extends string>(
  option: string,
  text: string,
  known: readonly T[],
): T[] {
  return text.split(',').map((item) => parseName(option, item, known));
}
