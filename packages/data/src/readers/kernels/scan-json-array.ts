/**
 * The byte scanner that finds where the elements of a JSON array end.
 *
 * Every index read is below the length of the chunk: loops run to the length, and `indexOf` gives an index in it.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const LINE_FEED = 0x0a;

/** What the scanner remembers between chunks. */
export interface ArrayScan {
  /** 0 before and after the array, 1 between its elements. */
  depth: number;
  inString: boolean;
  /** Whether the last byte of the chunk before was a backslash that escapes the next. */
  escaped: boolean;
  isClosed: boolean;
  /** 1-based line of the byte looked at. */
  line: number;
  /** Line on which the current element began; 0 while none has begun. */
  beginLine: number;
  /** 1 when text follows the array or the depth passes the limit; the scan is at an end. */
  fault: number;
}

/** A scanner before the first byte of a file. */
export function createArrayScan(): ArrayScan {
  return {
    depth: 0,
    inString: false,
    escaped: false,
    isClosed: false,
    line: 1,
    beginLine: 0,
    fault: 0,
  };
}

/**
 * Returns the index of the next byte that opens the array or ends an element (a comma or the closing bracket), else
 * the length.
 */
export function scanToEvent(
  scan: ArrayScan,
  chunk: Buffer,
  from: number,
  maxDepth: number,
): number {
  for (let at = from; at < chunk.length; at++) {
    if (scan.inString) {
      at = skipString(scan, chunk, at);
      continue;
    }
    const byte = chunk[at]!;
    if (byte <= 0x20) {
      if (byte === LINE_FEED) scan.line++;
    } else if (scan.isClosed) {
      scan.fault = 1;
      return at;
    } else if (scanOutside(scan, byte)) return at;
    if (scan.depth > maxDepth) {
      scan.fault = 1;
      return at;
    }
  }
  return chunk.length;
}

/** Advances over one visible byte outside strings; true where the array opens and where an element ends. */
function scanOutside(scan: ArrayScan, byte: number): boolean {
  if (byte === COMMA && scan.depth === 1) return true;
  if (byte === 0x5d || byte === 0x7d) {
    scan.depth--;
    scan.isClosed = scan.depth === 0;
    return scan.isClosed;
  }
  if (scan.depth === 0) {
    scan.depth = 1;
    return true;
  }
  if (scan.beginLine === 0) scan.beginLine = scan.line;
  if (byte === QUOTE) scan.inString = true;
  else if (byte === 0x5b || byte === 0x7b) scan.depth++;
  return false;
}

/** Returns the index of the quote that ends the string, or of the last byte of the chunk when it does not end there. */
function skipString(scan: ArrayScan, chunk: Buffer, from: number): number {
  for (let at = from; at < chunk.length; at++) {
    const byte = chunk[at]!;
    if (byte === LINE_FEED) scan.line++;
    if (scan.escaped) scan.escaped = false;
    else if (byte === BACKSLASH) scan.escaped = true;
    else if (byte === QUOTE) {
      scan.inString = false;
      return at;
    }
  }
  return chunk.length - 1;
}

/**
 * Makes an element one line: line ends between its parts become spaces; inside its strings, where JSON allows none,
 * they become vertical tabs, which it does not allow either.
 *
 * Mutates: `element`.
 */
export function joinElementLines(element: Uint8Array): void {
  let inString = false;
  for (let at = 0; at < element.length; at++) {
    const byte = element[at]!;
    if (byte === LINE_FEED) element[at] = inString ? 0x0b : 0x20;
    else if (byte === QUOTE) inString = !inString;
    else if (byte === BACKSLASH && inString) {
      at++;
      if (element[at] === LINE_FEED) element[at] = 0x0b;
    }
  }
}
