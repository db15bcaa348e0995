/** How hyparquet is told to convert values. */
import type { ParquetParsers } from 'hyparquet';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { decodeText } from '../column-values.js';

/** Texts are checked; JSON columns stay texts, as pyarrow gives them. */
export const parquetParsers = {
  ...DEFAULT_PARSERS,
  stringFromBytes: decodeText,
  jsonFromBytes: decodeText,
} as ParquetParsers;
