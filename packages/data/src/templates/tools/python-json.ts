/**
 * JSON as Python's `json` module reads and writes it, so that tools and calls become the very text that models were
 * trained on: 1.0 stays 1.0, large integers keep their digits, keys keep their order, separators are ", " and ": ".
 *
 * Source: CPython 3.11 `json.loads`, `json.dumps(ensure_ascii=False)`. NaN and infinities are not read.
 * Checked against: CPython, test/fixtures/llama-factory/python-json.json.
 */

/** A number with its spelling. */
export class PythonNumber {
  readonly isInteger: boolean;
  /** As Python prints it. */
  readonly text: string;

  constructor(source: string) {
    this.isInteger = /^-?\d+$/.test(source);
    this.text = this.isInteger ? integerText(source) : floatText(Number(source));
  }
}

/** A value of JSON; objects are maps because the order of keys such as "2" and "1" must be kept. */
export type PythonValue =
  | null
  | boolean
  | string
  | PythonNumber
  | readonly PythonValue[]
  | ReadonlyMap<string, PythonValue>;

/** Text nested deeper than this is refused. Python's own limit is near 1000. */
const DEPTH_MAX = 500;

/** Parses JSON text; undefined when it is none. */
export function parsePythonJson(text: string): PythonValue | undefined {
  const reader: Reader = { text, at: 0, depth: 0 };
  try {
    const value = readValue(reader);
    skipBlanks(reader);
    return reader.at === text.length ? value : undefined;
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}

class NotJson extends Error {}

interface Reader {
  readonly text: string;
  at: number;
  depth: number;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
/** What stands in a JSON string as itself: no control character, quotation mark or backslash. */
const PLAIN = '[ !#-\\[\\]-\\uffff]';
const STRING = new RegExp(`"${PLAIN}*(?:\\\\(?:["\\\\/bfnrt]|u[0-9a-fA-F]{4})${PLAIN}*)*"`, 'y');
const BLANKS = /[ \t\n\r]*/y;

function readValue(reader: Reader): PythonValue {
  skipBlanks(reader);
  const first = reader.text[reader.at];
  if (first === '{') return nested(reader, readObject);
  if (first === '[') return nested(reader, readList);
  if (first === '"') return readString(reader);
  for (const [word, value] of WORDS) {
    if (!reader.text.startsWith(word, reader.at)) continue;
    reader.at += word.length;
    return value;
  }
  return new PythonNumber(take(reader, NUMBER));
}

const WORDS = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const;

function nested<T>(reader: Reader, read: (reader: Reader) => T): T {
  if (++reader.depth > DEPTH_MAX) throw new NotJson();
  reader.at++;
  const value = read(reader);
  reader.depth--;
  return value;
}

function readObject(reader: Reader): ReadonlyMap<string, PythonValue> {
  const members = new Map<string, PythonValue>();
  if (takeIf(reader, '}')) return members;
  do {
    skipBlanks(reader);
    const key = readString(reader);
    if (!takeIf(reader, ':')) throw new NotJson();
    members.set(key, readValue(reader));
  } while (takeIf(reader, ','));
  if (!takeIf(reader, '}')) throw new NotJson();
  return members;
}

function readList(reader: Reader): readonly PythonValue[] {
  const items: PythonValue[] = [];
  if (takeIf(reader, ']')) return items;
  do {
    items.push(readValue(reader));
  } while (takeIf(reader, ','));
  if (!takeIf(reader, ']')) throw new NotJson();
  return items;
}

function readString(reader: Reader): string {
  return JSON.parse(take(reader, STRING)) as string;
}

function take(reader: Reader, pattern: RegExp): string {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text)?.[0];
  if (found === undefined) throw new NotJson();
  reader.at += found.length;
  return found;
}

function takeIf(reader: Reader, char: string): boolean {
  skipBlanks(reader);
  if (reader.text[reader.at] !== char) return false;
  reader.at++;
  return true;
}

function skipBlanks(reader: Reader): void {
  take(reader, BLANKS);
}

/** Takes a value that JavaScript parsed: whole numbers count as integers, keys come in the object's order. */
export function toPythonValue(value: unknown): PythonValue {
  if (Array.isArray(value)) return value.map(toPythonValue);
  if (typeof value === 'object' && value !== null) {
    return new Map(Object.entries(value).map(([key, member]) => [key, toPythonValue(member)]));
  }
  if (typeof value === 'number' && Number.isFinite(value)) {
    return new PythonNumber(Number.isInteger(value) ? BigInt(value).toString() : String(value));
  }
  return typeof value === 'string' || typeof value === 'boolean' ? value : null;
}

/** Writes a value as `json.dumps(value, ensure_ascii=False)`, with `indent` blanks per level when given. */
export function formatPythonJson(value: PythonValue, indent: number | null = null): string {
  return write(value, { indent, level: 0 });
}

interface Layout {
  readonly indent: number | null;
  readonly level: number;
}

function write(value: PythonValue, layout: Layout): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof PythonNumber) return value.text;
  const inner = { ...layout, level: layout.level + 1 };
  if (isList(value)) {
    const items = value.map((item) => write(item, inner));
    return enclose('[', items, ']', layout);
  }
  const members = [...value].map(([key, member]) => `${quote(key)}: ${write(member, inner)}`);
  return enclose('{', members, '}', layout);
}

function enclose(
  open: string,
  parts: readonly string[],
  close: string,
  { indent, level }: Layout,
): string {
  if (parts.length === 0) return open + close;
  if (indent === null) return open + parts.join(', ') + close;
  const line = `\n${' '.repeat(indent * level)}`;
  const inner = line + ' '.repeat(indent);
  return open + inner + parts.join(`,${inner}`) + line + close;
}

/** Tells a list from the other values. */
export function isList(value: PythonValue | undefined): value is readonly PythonValue[] {
  return Array.isArray(value);
}

const ESCAPED = new RegExp(PLAIN.replace('[', '[^'), 'g');

/** Escapes as Python does: lone surrogates and U+007F stay. */
function quote(text: string): string {
  return `"${text.replace(ESCAPED, (char) => JSON.stringify(char).slice(1, -1))}"`;
}

/** `str(value)`: what Python puts into a text where a value stands in a format. */
export function pythonText(value: PythonValue): string {
  return typeof value === 'string' ? value : represent(value);
}

/** `repr(value)`. */
function represent(value: PythonValue): string {
  if (typeof value === 'string') return representText(value);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value instanceof PythonNumber) return value.text;
  if (isList(value)) return `[${value.map(represent).join(', ')}]`;
  const members = [...value].map(([key, item]) => `${representText(key)}: ${represent(item)}`);
  return `{${members.join(', ')}}`;
}

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Zs}]/gu;

function representText(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(mark, `\\${mark}`)
    .replace(UNPRINTABLE, escapeUnprintable);
  return mark + escaped + mark;
}

function escapeUnprintable(char: string): string {
  if (char === ' ') return char;
  const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[char];
  if (named !== undefined) return named;
  const code = char.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `repr(int(source))`: only -0 changes. */
function integerText(source: string): string {
  return /^-0+$/.test(source) ? '0' : source;
}

/** `repr(float)`: shortest digits, an exponent below 1e-4 and from 1e16 on. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? '-' : '+';
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const plain = String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}
