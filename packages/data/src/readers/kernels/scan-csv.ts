/**
 * The byte scanner that finds where CSV records end, and the splitter of a record's fields.
 *
 * The rules are those of Python's `csv` module (dialects `excel` and `excel-tab`), which follow RFC 4180 where it
 * speaks: a quote opens only at the beginning of a field, is doubled inside, and text after the closing quote belongs
 * to the field. Records end with LF, CRLF or CR. Every index read is below the length, or compared with a byte that
 * `undefined` never equals.
 */
const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

const RECORD_START = 0;
const FIELD_START = 1;
const IN_FIELD = 2;
const IN_QUOTES = 3;
/** After a quote within quotes: it closes the field, or is the first of two. */
const AFTER_QUOTE = 4;
const RECORD_END = 5;

/** Of each state: the next on another byte, a quote, the delimiter, a line end. */
const NEXT_STATE = Uint8Array.from([
  ...[IN_FIELD, IN_QUOTES, FIELD_START, RECORD_END],
  ...[IN_FIELD, IN_QUOTES, FIELD_START, RECORD_END],
  ...[IN_FIELD, IN_FIELD, FIELD_START, RECORD_END],
  ...[IN_QUOTES, AFTER_QUOTE, IN_QUOTES, IN_QUOTES],
  ...[IN_FIELD, IN_QUOTES, FIELD_START, RECORD_END],
]);

/** What the scanner remembers between records and chunks. */
export interface CsvScan {
  /** Of each byte: 0 other, 1 quote, 2 delimiter, 3 line end. */
  readonly classOfByte: Uint8Array;
  state: number;
  /** 1-based line of the byte that comes next. */
  line: number;
  /** Whether the record that ended last was an empty line. */
  isBlank: boolean;
}

/** A scanner before the first record. */
export function createCsvScan(delimiter: ',' | '\t', line: number): CsvScan {
  const classOfByte = new Uint8Array(256);
  classOfByte[QUOTE] = 1;
  classOfByte[delimiter.charCodeAt(0)] = 2;
  classOfByte[LINE_FEED] = 3;
  classOfByte[CARRIAGE_RETURN] = 3;
  return {
    classOfByte,
    state: RECORD_START,
    line,
    isBlank: false,
  };
}

/** Whether the bytes so far end within quotes. */
export function isInQuotes(scan: CsvScan): boolean {
  return scan.state === IN_QUOTES;
}

/**
 * Returns the index after the line end of the current record, or -1 when the chunk ends first. A chunk must not part a
 * carriage return from its line feed.
 */
export function scanCsvRecord(scan: CsvScan, chunk: Uint8Array, from: number): number {
  const { classOfByte } = scan;
  let state = scan.state;
  for (let at = from; at < chunk.length; at++) {
    const byte = chunk[at]!;
    const next = NEXT_STATE[state * 4 + classOfByte[byte]!]!;
    if (next === RECORD_END) {
      scan.state = state;
      return endRecord(scan, chunk, at);
    }
    if (byte === LINE_FEED) scan.line++;
    state = next;
  }
  scan.state = state;
  return -1;
}

function endRecord(scan: CsvScan, chunk: Uint8Array, at: number): number {
  const isReturn = chunk[at]! === CARRIAGE_RETURN;
  scan.isBlank = scan.state === RECORD_START;
  scan.state = RECORD_START;
  scan.line++;
  return isReturn && chunk[at + 1] === LINE_FEED ? at + 2 : at + 1;
}

/** Splits a whole record, with or without its line end, into the texts of its fields. */
export function splitCsvFields(record: Buffer, delimiter: number): string[] {
  const text = record.subarray(0, endOfText(record));
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    const opening = text[at] === QUOTE ? unquotedText(text, at + 1) : { text: '', end: at };
    const found = text.indexOf(delimiter, opening.end);
    const end = found < 0 ? text.length : found;
    fields.push(opening.text + text.toString('utf8', opening.end, end));
    at = end + 1;
  }
  return fields;
}

/** The text within quotes and the index after the closing one. */
function unquotedText(bytes: Buffer, from: number): { text: string; end: number } {
  let text = '';
  for (let at = from; ; ) {
    const found = bytes.indexOf(QUOTE, at);
    if (found < 0) return { text: text + bytes.toString('utf8', at), end: bytes.length };
    text += bytes.toString('utf8', at, found);
    if (bytes[found + 1] !== QUOTE) return { text, end: found + 1 };
    text += '"';
    at = found + 2;
  }
}

function endOfText(record: Buffer): number {
  let end = record.length;
  if (record[end - 1] === LINE_FEED) end--;
  if (record[end - 1] === CARRIAGE_RETURN) end--;
  return end;
}
