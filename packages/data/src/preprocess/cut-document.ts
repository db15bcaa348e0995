/** Cutting documents into samples of bounded length. */
import type { HandledRow } from '../handlers/row-handler.js';

/**
 * Cuts every field of a document into consecutive pieces of at most `length` tokens. A last piece of one token is left
 * out, as is a document of one: nothing can be predicted in it.
 */
export function cutDocument(row: HandledRow, length: number): HandledRow[] {
  const longest = row.fields.reduce((max, tokens) => Math.max(max, tokens.length), 0);
  const pieces: HandledRow[] = [];
  for (let begin = 0; begin < longest - 1; begin += length) {
    const fields = row.fields.map((tokens) => tokens.slice(begin, begin + length));
    pieces.push({ fields, fullLength: fields[0]?.length ?? 0 });
  }
  return pieces;
}
