import { type HandledRow, isRejection, openRowHandler, type RowHandler } from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import { type ExpectedRow, handlerCases, openCase } from './handlers-fixtures.js';

/** Sequences by field, as the fixtures have them: without the mask, which is all ones. */
function fieldsOf(handler: RowHandler, rows: readonly HandledRow[]): ExpectedRow {
  const entries = handler.fields.map((field, i): [string, number[][]] => [
    field.replace(/^packed_/, ''),
    rows.map((row) => [...row.fields[i]!]).filter((ids) => ids.length > 0),
  ]);
  const { attention_mask: mask, ...fields } = Object.fromEntries(entries);
  if (mask !== undefined) expect(mask).toEqual(fields['input_ids']!.map((ids) => ids.map(() => 1)));
  return fields;
}

describe('handlers give the tokens of the originals', () => {
  it.each(
    handlerCases.map((entry) => ({
      ...entry,
      title: `${entry.given.name}, ${entry.expected.tokenizer}`,
    })),
  )('$title', async ({ given, expected }) => {
    const handler = openRowHandler(
      {
        ...given.settings,
        handler: given.handler,
        // The original drops rows that are as long as seq_length.
        cutoffLength: (given.seq_length ?? 1 << 20) - 1,
        overlength: 'truncate',
      },
      await openCase(given, expected.tokenizer),
    );
    expect(expected.rows).toHaveLength(given.records.length);
    for (const [i, record] of given.records.entries()) {
      const rows = handler.handle(record, { source: 'golden', row: i + 1 });
      const want = expected.rows[i]!;
      if (isRejection(rows)) expect(want, rows.reason).toBeNull();
      else expect(fieldsOf(handler, rows), JSON.stringify(record)).toEqual(want);
    }
  });
});
