/** Makes records as JSON.parse makes them. */

/** An object with the given values under the given names; every name becomes a property of its own. */
export function plainRecord(
  names: readonly string[],
  values: ArrayLike<unknown>,
): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string;
    if (name === '__proto__') defineOwn(record, name, values[i]);
    else record[name] = values[i];
  }
  return record;
}

/** Assignment would set the prototype. */
function defineOwn(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
