/** What each opcode does to the pickle machine; an opcode without a handler is refused. */
import { isUtf8 } from 'node:buffer';
import { TORCH_ERRORS } from '../../errors.js';
import { CONTAINER_COST, MAX_INTEGER_BYTES } from '../limits.js';
import type { TorchGlobal, TorchValue } from '../value.js';
import { exactInteger } from './byte-cursor.js';
import { appendItems, applyState, construct, setItems } from './construct.js';
import { OP } from './opcodes.js';
import type { PickleMachine } from './pickle-reader.js';

type Handler = (machine: PickleMachine) => void;

const MAX_PROTOCOL = 5;

const FLOW: readonly [number, Handler][] = [
  [OP.PROTO, readProtocol],
  [OP.FRAME, skipFrame],
  [OP.MARK, (m) => m.stack.mark()],
  [OP.POP, popOrUnmark],
  [OP.POP_MARK, (m) => void m.stack.popToMark()],
  [OP.DUP, (m) => m.stack.push(m.stack.top())],
  [OP.PUT, (m) => remember(m, decimalIndex(m))],
  [OP.BINPUT, (m) => remember(m, m.cursor.u8())],
  [OP.LONG_BINPUT, (m) => remember(m, m.cursor.u32())],
  [OP.MEMOIZE, (m) => remember(m, m.memo.size)],
  [OP.GET, (m) => recall(m, decimalIndex(m))],
  [OP.BINGET, (m) => recall(m, m.cursor.u8())],
  [OP.LONG_BINGET, (m) => recall(m, m.cursor.u32())],
];

const SCALARS: readonly [number, Handler][] = [
  [OP.NONE, (m) => m.stack.push(null)],
  [OP.NEWTRUE, (m) => m.stack.push(true)],
  [OP.NEWFALSE, (m) => m.stack.push(false)],
  [OP.INT, (m) => m.stack.push(decimalInteger(m, m.cursor.line()))],
  [OP.LONG, (m) => m.stack.push(decimalInteger(m, m.cursor.line().replace(/L$/, '')))],
  [OP.BININT, (m) => m.stack.push(m.cursor.i32())],
  [OP.BININT1, (m) => m.stack.push(m.cursor.u8())],
  [OP.BININT2, (m) => m.stack.push(m.cursor.u16())],
  [OP.LONG1, (m) => m.stack.push(m.cursor.integer(m.cursor.u8()))],
  [OP.LONG4, (m) => m.stack.push(m.cursor.integer(m.cursor.u32()))],
  [OP.FLOAT, (m) => m.stack.push({ kind: 'float', value: decimalFloat(m) })],
  [OP.BINFLOAT, (m) => m.stack.push({ kind: 'float', value: m.cursor.f64() })],
];

const STRINGS: readonly [number, Handler][] = [
  [OP.UNICODE, (m) => m.stack.push(rawUnicode(m))],
  [OP.SHORT_BINUNICODE, (m) => m.stack.push(m.cursor.text(m.cursor.u8()))],
  [OP.BINUNICODE, (m) => m.stack.push(m.cursor.text(m.cursor.u32()))],
  [OP.BINUNICODE8, (m) => m.stack.push(m.cursor.text(m.cursor.u64()))],
  [OP.STRING, (m) => m.stack.push(quotedString(m))],
  [OP.SHORT_BINSTRING, (m) => m.stack.push(textOrBytes(m.cursor.take(m.cursor.u8())))],
  [OP.BINSTRING, (m) => m.stack.push(textOrBytes(m.cursor.take(m.cursor.u32())))],
  [OP.SHORT_BINBYTES, (m) => pushBytes(m, 'bytes', m.cursor.u8())],
  [OP.BINBYTES, (m) => pushBytes(m, 'bytes', m.cursor.u32())],
  [OP.BINBYTES8, (m) => pushBytes(m, 'bytes', m.cursor.u64())],
  [OP.BYTEARRAY8, (m) => pushBytes(m, 'bytearray', m.cursor.u64())],
];

const CONTAINERS: readonly [number, Handler][] = [
  [OP.EMPTY_TUPLE, (m) => m.stack.push({ kind: 'tuple', items: [] })],
  [OP.TUPLE, (m) => m.stack.push({ kind: 'tuple', items: m.stack.popToMark() })],
  [OP.TUPLE1, (m) => m.stack.push({ kind: 'tuple', items: m.stack.popMany(1) })],
  [OP.TUPLE2, (m) => m.stack.push({ kind: 'tuple', items: m.stack.popMany(2) })],
  [OP.TUPLE3, (m) => m.stack.push({ kind: 'tuple', items: m.stack.popMany(3) })],
  [OP.EMPTY_LIST, (m) => m.stack.push({ kind: 'list', items: [] })],
  [OP.LIST, (m) => m.stack.push({ kind: 'list', items: m.stack.popToMark() })],
  [OP.APPEND, (m) => appendTo(m, m.stack.popMany(1))],
  [OP.APPENDS, (m) => appendTo(m, m.stack.popToMark())],
  [OP.EMPTY_DICT, (m) => m.stack.push({ kind: 'dict', type: 'dict', entries: [] })],
  [OP.DICT, makeDict],
  [OP.SETITEM, (m) => setOn(m, m.stack.popMany(2))],
  [OP.SETITEMS, (m) => setOn(m, m.stack.popToMark())],
  [OP.EMPTY_SET, (m) => m.stack.push({ kind: 'set', type: 'set', items: [] })],
  [OP.ADDITEMS, addItems],
  [
    OP.FROZENSET,
    (m) => m.stack.push({ kind: 'set', type: 'frozenset', items: m.stack.popToMark() }),
  ],
];

const OBJECTS: readonly [number, Handler][] = [
  [OP.GLOBAL, (m) => m.stack.push(m.global(m.cursor.line(), m.cursor.line()))],
  [OP.STACK_GLOBAL, stackGlobal],
  [OP.REDUCE, (m) => makeObject(m, 'reduce')],
  [OP.NEWOBJ, (m) => makeObject(m, 'newobj')],
  [OP.NEWOBJ_EX, makeObjectWithKeywords],
  [OP.OBJ, makeOldObject],
  [OP.INST, makeNamedObject],
  [OP.BUILD, build],
  [OP.PERSID, (m) => pushStorage(m, m.cursor.line())],
  [OP.BINPERSID, (m) => pushStorage(m, m.stack.pop())],
];

/** Handlers by opcode. */
export const HANDLERS: readonly (Handler | undefined)[] = handlerTable();

/** Cost of each opcode, where it is more than one. */
export const OPCODE_COSTS: readonly (number | undefined)[] = costTable();

function costTable(): (number | undefined)[] {
  const costs = new Array<number | undefined>(256).fill(undefined);
  for (const [opcode] of [...CONTAINERS, ...OBJECTS]) costs[opcode] = CONTAINER_COST;
  costs[OP.BINFLOAT] = CONTAINER_COST / 2;
  for (const cheap of [OP.APPEND, OP.APPENDS, OP.SETITEM, OP.SETITEMS, OP.ADDITEMS]) {
    costs[cheap] = undefined;
  }
  return costs;
}

function handlerTable(): (Handler | undefined)[] {
  const table = new Array<Handler | undefined>(256).fill(undefined);
  for (const group of [FLOW, SCALARS, STRINGS, CONTAINERS, OBJECTS]) {
    for (const [opcode, handler] of group) table[opcode] = handler;
  }
  return table;
}

function readProtocol(machine: PickleMachine): void {
  const protocol = machine.cursor.u8();
  if (protocol > MAX_PROTOCOL) {
    throw machine.cursor.error(
      TORCH_ERRORS.TORCH_PICKLE_BAD_OPCODE,
      `protocol ${protocol} is newer than ${MAX_PROTOCOL}, the last one known`,
    );
  }
  machine.protocol = protocol;
}

/** A frame only tells a reader how much to fetch, but must lie within the pickle. */
function skipFrame(machine: PickleMachine): void {
  const byteLength = machine.cursor.u64();
  const start = machine.cursor.at;
  machine.cursor.take(byteLength);
  machine.cursor.at = start;
}

/** POP above nothing takes the mark away, as Python does. */
function popOrUnmark(machine: PickleMachine): void {
  if (machine.stack.isAtMark) machine.stack.dropMark();
  else machine.stack.pop();
}

function remember(machine: PickleMachine, index: number): void {
  machine.memo.set(index, machine.stack.top());
}

function recall(machine: PickleMachine, index: number): void {
  const value = machine.memo.get(index);
  if (value === undefined) throw machine.malformed(`nothing is remembered as number ${index}`);
  machine.stack.push(value);
}

function decimalIndex(machine: PickleMachine): number {
  const text = machine.cursor.line();
  if (!/^\d{1,10}$/.test(text)) throw machine.malformed('a memo number is not one');
  return Number(text);
}

function decimalInteger(machine: PickleMachine, text: string): TorchValue {
  // Protocol 0 and 1 write booleans as two-digit integers.
  if (text === '01') return true;
  if (text === '00') return false;
  if (text.length > MAX_INTEGER_BYTES || !/^[+-]?\d+$/.test(text)) {
    throw machine.malformed('an integer is not one, or has too many digits');
  }
  return exactInteger(BigInt(text.replace(/^\+/, '')));
}

const FLOAT_WORDS: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
]);

function decimalFloat(machine: PickleMachine): number {
  const text = machine.cursor.line();
  const word = FLOAT_WORDS.get(text);
  if (word !== undefined) return word;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    throw machine.malformed('a float is not one');
  }
  return Number(text);
}

/** Protocol 0 text: Latin-1 with escapes for all else. */
function rawUnicode(machine: PickleMachine): string {
  return machine.cursor
    .line()
    .replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (whole, short?: string, long?: string) => {
      const code = Number.parseInt(short ?? long ?? '', 16);
      return code > 0x10_ffff ? whole : String.fromCodePoint(code);
    });
}

/** Protocol 0 string of Python 2, in quotes and with the escapes of a literal. */
function quotedString(machine: PickleMachine): TorchValue {
  const line = machine.cursor.line();
  const quoted = /^(['"])(.*)\1$/s.exec(line);
  if (quoted === null) throw machine.malformed('a string is not in quotes');
  const body = (quoted[2] ?? '').replace(
    /\\(?:x([0-9a-fA-F]{2})|([\\'"nrt]))/g,
    (_, hex: string | undefined, letter: string | undefined) =>
      hex === undefined
        ? (LETTER_ESCAPES.get(letter ?? '') ?? letter ?? '')
        : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return textOrBytes(Buffer.from(body, 'latin1'));
}

const LETTER_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** Python 2 did not tell text from bytes: what is valid UTF-8 counts as text, as torch reads it. */
function textOrBytes(bytes: Buffer): TorchValue {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return { kind: 'bytes', type: 'bytes', value: Uint8Array.from(bytes) };
}

function pushBytes(machine: PickleMachine, type: 'bytes' | 'bytearray', byteLength: number): void {
  const value = Uint8Array.from(machine.cursor.take(byteLength));
  machine.stack.push({ kind: 'bytes', type, value });
}

function appendTo(machine: PickleMachine, values: readonly TorchValue[]): void {
  appendItems(machine, machine.stack.top(), values);
}

function setOn(machine: PickleMachine, flat: readonly TorchValue[]): void {
  setItems(machine, machine.stack.top(), flat);
}

function makeDict(machine: PickleMachine): void {
  const flat = machine.stack.popToMark();
  machine.stack.push({ kind: 'dict', type: 'dict', entries: [] });
  setOn(machine, flat);
}

function addItems(machine: PickleMachine): void {
  const values = machine.stack.popToMark();
  const target = machine.stack.top();
  if (target === null || typeof target !== 'object' || target.kind !== 'set') {
    throw machine.malformed('items are added to a value that is no set');
  }
  for (const value of values) target.items.push(value);
}

function stackGlobal(machine: PickleMachine): void {
  const [module, name] = machine.stack.popMany(2);
  if (typeof module !== 'string' || typeof name !== 'string') {
    throw machine.malformed('a global is not named by two strings');
  }
  machine.stack.push(machine.global(module, name));
}

function makeObject(machine: PickleMachine, construction: 'reduce' | 'newobj'): void {
  const [callable = null, args = null] = machine.stack.popMany(2);
  machine.stack.push(construct(machine, { construction, callable, args }));
}

function makeObjectWithKeywords(machine: PickleMachine): void {
  const [callable = null, args = null, kwargs = null] = machine.stack.popMany(3);
  machine.stack.push(construct(machine, { construction: 'newobj_ex', callable, args, kwargs }));
}

function makeOldObject(machine: PickleMachine): void {
  const [callable, ...items] = machine.stack.popToMark();
  if (callable === undefined) throw machine.malformed('an object has no class');
  makeInstance(machine, callable, items);
}

function makeNamedObject(machine: PickleMachine): void {
  const callable = machine.global(machine.cursor.line(), machine.cursor.line());
  makeInstance(machine, callable, machine.stack.popToMark());
}

function makeInstance(
  machine: PickleMachine,
  callable: TorchValue | TorchGlobal,
  items: readonly TorchValue[],
): void {
  const args: TorchValue = { kind: 'tuple', items };
  machine.stack.push(construct(machine, { construction: 'reduce', callable, args }));
}

function build(machine: PickleMachine): void {
  const state = machine.stack.pop();
  applyState(machine, machine.stack.top(), state);
}

function pushStorage(machine: PickleMachine, id: TorchValue): void {
  if (machine.storages === null) {
    throw machine.cursor.error(
      TORCH_ERRORS.TORCH_PICKLE_BAD_PERSISTENT_ID,
      'it names a storage, but is not part of an archive',
    );
  }
  machine.stack.push(machine.storages.fromPersistentId(id));
}
