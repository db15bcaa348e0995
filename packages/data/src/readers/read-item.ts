/** What reading gives: records, and the places where one should have been. */

/** One record, or the place where one should have been. */
export type ReadItem =
  | {
      readonly kind: 'record';
      /** 1-based; counts records and malformed ones, not blank lines, header rows or the brackets of an array. */
      readonly row: number;
      readonly value: unknown;
    }
  | {
      readonly kind: 'malformed';
      readonly row: number;
      /** 1-based line on which the record begins; equal to `row` in files without lines. */
      readonly line: number;
      readonly reason: string;
    };
