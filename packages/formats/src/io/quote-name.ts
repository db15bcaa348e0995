/** Longest part of a hostile name that a message repeats. */
const QUOTED_CHARACTERS_MAX = 120;

/** Quotes a name found in a file for a message: control characters escaped, long ones cut. */
export function quoteName(name: string): string {
  const isLong = name.length > QUOTED_CHARACTERS_MAX;
  return JSON.stringify(isLong ? `${name.slice(0, QUOTED_CHARACTERS_MAX)}…` : name);
}
