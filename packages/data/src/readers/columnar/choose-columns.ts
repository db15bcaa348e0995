/** Which columns of a columnar file are read. */
import { fileError } from '../file-errors.js';

/**
 * The columns that are there of those that are wanted; without a wish all. Some may be missing, as fields of a JSON
 * record may.
 *
 * Throws: `DATA_NO_SUCH_COLUMN` when none of them is there.
 */
export function chooseColumns(
  path: string,
  names: readonly string[],
  wanted: readonly string[] | undefined,
): readonly string[] {
  if (wanted === undefined) return names;
  const chosen = names.filter((name) => wanted.includes(name));
  if (chosen.length > 0) return chosen;
  throw fileError(
    'DATA_NO_SUCH_COLUMN',
    { file: path },
    `it has none of the columns ${wanted.join(', ')}; it has ${names.slice(0, 20).join(', ')}`,
    { details: { wanted: [...wanted], found: names.slice(0, 20) } },
  );
}
