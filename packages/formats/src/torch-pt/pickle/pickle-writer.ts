/**
 * Writes plain data as a pickle that Python's and torch's readers take.
 *
 * Opcodes and their order are those of Python's own pickler, with two liberties: equal strings count as one object, and
 * protocol 4 is written without frames, which are only hints. Objects that are shared stay shared.
 * Source: Lib/pickle.py of Python 3.11 and torch/serialization.py of torch 2.13.
 * Checked against: test/fixtures/torch/written.json, where torch.load read such files.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { dtypeOfStorage } from '../dtypes.js';
import { MAX_DEPTH } from '../limits.js';
import type {
  TorchBytes,
  TorchDict,
  TorchEntry,
  TorchGlobal,
  TorchNode,
  TorchObject,
  TorchParameter,
  TorchSet,
  TorchStorage,
  TorchTensorValue,
  TorchTuple,
  TorchValue,
} from '../value.js';
import { ByteWriter } from './byte-writer.js';
import { legacyModule } from './globals.js';
import { OP } from './opcodes.js';

/** Protocols that are written: 2 as torch does, 4 as some converters do. */
export type WrittenProtocol = 2 | 4;

/** A pickle, and the storages that it names in the order of their keys: "0", "1", … */
export interface WrittenPickle {
  readonly bytes: Uint8Array;
  readonly storages: readonly TorchStorage[];
}

/** Entries or items per batch, as Python's writer divides them. */
const BATCH = 1000;

/** Throws: `TORCH_ARCHIVE_BAD_VALUE` for a value that the protocol cannot hold. */
export function formatPickle(root: TorchValue, protocol: WrittenProtocol): WrittenPickle {
  const writer = new PickleWriter(protocol);
  return writer.write(root);
}

class PickleWriter {
  readonly #protocol: WrittenProtocol;
  readonly #out = new ByteWriter();
  /** Numbers of values already written, by identity; strings by what they are. */
  readonly #memo = new Map<string | TorchNode, number>();
  /** One node for each global name. */
  readonly #globals = new Map<string, TorchGlobal>();
  readonly #keys = new Map<TorchStorage, string>();
  #depth = 0;

  constructor(protocol: WrittenProtocol) {
    this.#protocol = protocol;
  }

  write(root: TorchValue): WrittenPickle {
    this.#out.u8(OP.PROTO);
    this.#out.u8(this.#protocol);
    this.#value(root);
    this.#out.u8(OP.STOP);
    return { bytes: this.#out.bytes(), storages: [...this.#keys.keys()] };
  }

  #value(value: TorchValue): void {
    if (value === null) this.#out.u8(OP.NONE);
    else if (typeof value === 'boolean') this.#out.u8(value ? OP.NEWTRUE : OP.NEWFALSE);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'bigint') this.#integer(value);
    else if (typeof value === 'string') this.#text(value);
    else this.#node(value);
  }

  #node(node: TorchNode): void {
    if (node.kind === 'float') {
      this.#float(node.value);
      return;
    }
    if (this.#recall(node)) return;
    if (this.#depth === MAX_DEPTH) {
      throw badValue(`it is nested deeper than ${MAX_DEPTH} levels, or contains itself`);
    }
    this.#depth += 1;
    this.#container(node);
    this.#depth -= 1;
  }

  #container(node: Exclude<TorchNode, { kind: 'float' }>): void {
    switch (node.kind) {
      case 'bytes':
        this.#bytes(node);
        return;
      case 'list':
        this.#out.u8(OP.EMPTY_LIST);
        this.#remember(node);
        this.#appends(node.items);
        return;
      case 'tuple':
        this.#tuple(node);
        return;
      case 'set':
        this.#set(node);
        return;
      case 'dict':
        this.#dict(node);
        return;
      case 'namespace':
        this.#namespace(node);
        return;
      case 'global':
        this.#global(node);
        return;
      case 'object':
        this.#object(node);
        return;
      case 'storage':
        this.#storage(node);
        return;
      case 'tensor':
        this.#tensor(node);
        return;
      case 'parameter':
        this.#parameter(node);
        return;
    }
  }

  #number(value: number): void {
    if (!Number.isInteger(value)) {
      this.#float(value);
      return;
    }
    if (value >= 0 && value <= 0xff) {
      this.#out.u8(OP.BININT1);
      this.#out.u8(value);
    } else if (value >= 0 && value <= 0xffff) {
      this.#out.u8(OP.BININT2);
      this.#out.u16(value);
    } else if (value >= -(2 ** 31) && value < 2 ** 31) {
      this.#out.u8(OP.BININT);
      this.#out.i32(value);
    } else {
      this.#integer(BigInt(value));
    }
  }

  /** Two's complement in as few bytes as hold it. */
  #integer(value: bigint): void {
    const isSmall = value >= -(2n ** 31n) && value < 2n ** 31n;
    if (isSmall) {
      this.#number(Number(value));
      return;
    }
    let byteLength = 1;
    while (BigInt.asIntN(8 * byteLength, value) !== value) byteLength += 1;
    if (byteLength > 0xff) throw badValue('an integer has more than 255 bytes');
    this.#out.u8(OP.LONG1);
    this.#out.u8(byteLength);
    const rest = BigInt.asUintN(8 * byteLength, value).toString(16);
    this.#out.raw(Buffer.from(rest.padStart(2 * byteLength, '0'), 'hex').reverse());
  }

  #float(value: number): void {
    this.#out.u8(OP.BINFLOAT);
    this.#out.f64(value);
  }

  #text(text: string): void {
    if (this.#recall(text)) return;
    if (/\p{Surrogate}/u.test(text)) {
      throw badValue(`the string ${quoteName(text)} is not valid Unicode`);
    }
    const bytes = Buffer.from(text, 'utf8');
    if (this.#protocol >= 4 && bytes.length <= 0xff) {
      this.#out.u8(OP.SHORT_BINUNICODE);
      this.#out.u8(bytes.length);
    } else {
      this.#out.u8(OP.BINUNICODE);
      this.#out.u32(bytes.length);
    }
    this.#out.raw(bytes);
    this.#remember(text);
  }

  #bytes(node: TorchBytes): void {
    const { value, type } = node;
    if (type === 'bytearray') {
      const args = value.length === 0 ? [] : [bytesNode(value)];
      this.#call(node, builtin('bytearray'), args);
      return;
    }
    if (this.#protocol < 3) {
      if (value.length === 0) {
        this.#call(node, builtin('bytes'), []);
        return;
      }
      const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
      this.#call(node, named('_codecs', 'encode'), [text, 'latin1']);
      return;
    }
    if (value.length <= 0xff) {
      this.#out.u8(OP.SHORT_BINBYTES);
      this.#out.u8(value.length);
    } else {
      this.#out.u8(OP.BINBYTES8);
      this.#out.u64(value.length);
    }
    this.#out.raw(value);
    this.#remember(node);
  }

  #tuple(node: TorchTuple): void {
    const { items } = node;
    if (items.length === 0) {
      this.#out.u8(OP.EMPTY_TUPLE);
      return;
    }
    const short = [OP.TUPLE1, OP.TUPLE2, OP.TUPLE3][items.length - 1];
    if (short === undefined) this.#out.u8(OP.MARK);
    for (const item of items) this.#value(item);
    // A tuple that contains itself, by way of a list, has been written by now.
    const known = this.#memo.get(node);
    if (known !== undefined) {
      if (short === undefined) this.#out.u8(OP.POP_MARK);
      else for (const _ of items) this.#out.u8(OP.POP);
      this.#recall(node);
      return;
    }
    this.#out.u8(short ?? OP.TUPLE);
    this.#remember(node);
  }

  #set(node: TorchSet): void {
    const { type, items } = node;
    if (this.#protocol < 4) {
      this.#call(node, builtin(type), [{ kind: 'list', items }]);
      return;
    }
    if (type === 'frozenset') {
      this.#out.u8(OP.MARK);
      for (const item of items) this.#value(item);
      this.#out.u8(OP.FROZENSET);
      this.#remember(node);
      return;
    }
    this.#out.u8(OP.EMPTY_SET);
    this.#remember(node);
    for (let i = 0; i < items.length; i += BATCH) {
      this.#out.u8(OP.MARK);
      for (const item of items.slice(i, i + BATCH)) this.#value(item);
      this.#out.u8(OP.ADDITEMS);
    }
  }

  #dict(node: TorchDict): void {
    if (node.type === 'dict') {
      if (node.attributes !== undefined) throw badValue('a plain dict has attributes');
      this.#out.u8(OP.EMPTY_DICT);
      this.#remember(node);
    } else {
      this.#call(node, named('collections', 'OrderedDict'), []);
    }
    this.#setItems(node.entries);
    if (node.attributes !== undefined) this.#build(node.attributes);
  }

  #namespace(node: Extract<TorchNode, { kind: 'namespace' }>): void {
    const isArguments = node.type === 'argparse.Namespace';
    const [module = '', name = ''] = node.type.split('.');
    this.#global(named(module, name));
    this.#out.u8(OP.EMPTY_TUPLE);
    this.#out.u8(isArguments ? OP.NEWOBJ : OP.REDUCE);
    this.#remember(node);
    for (const [key] of node.attributes.entries) {
      if (typeof key !== 'string')
        throw badValue('an attribute of a namespace is not named by a string');
    }
    if (node.attributes.entries.length > 0) this.#build(node.attributes);
  }

  #global(node: TorchGlobal): void {
    const name = `${node.module}\n${node.name}`;
    const known = this.#globals.get(name);
    if (known !== undefined) {
      this.#recall(known);
      return;
    }
    this.#globals.set(name, node);
    if (this.#protocol >= 4) {
      this.#text(node.module);
      this.#text(node.name);
      this.#out.u8(OP.STACK_GLOBAL);
    } else {
      const isLine = !/[^\u0020-\u007e]/.test(node.module + node.name);
      if (!isLine) throw badValue(`protocol 2 cannot name ${quoteName(node.name)}`);
      this.#out.u8(OP.GLOBAL);
      this.#out.raw(Buffer.from(`${legacyModule(node.module)}\n${node.name}\n`, 'latin1'));
    }
    this.#remember(node);
  }

  #object(node: TorchObject): void {
    this.#value(node.callable);
    this.#value(node.args);
    switch (node.construction) {
      case 'reduce':
        this.#out.u8(OP.REDUCE);
        break;
      case 'newobj':
        this.#out.u8(OP.NEWOBJ);
        break;
      case 'newobj_ex':
        if (this.#protocol < 4) throw badValue('an object made with keywords needs protocol 4');
        this.#value(node.kwargs ?? null);
        this.#out.u8(OP.NEWOBJ_EX);
        break;
    }
    this.#remember(node);
    if (node.items !== undefined) this.#appends(node.items);
    if (node.entries !== undefined) this.#setItems(node.entries);
    if (node.state !== undefined) this.#build(node.state);
  }

  /** A storage is named, not written: its bytes are an entry of the archive. */
  #storage(node: TorchStorage): void {
    let key = this.#keys.get(node);
    if (key === undefined) {
      key = String(this.#keys.size);
      this.#keys.set(node, key);
    }
    const type = named(node.module, node.storageClass);
    this.#tuple({ kind: 'tuple', items: ['storage', type, key, node.location, node.numel] });
    this.#out.u8(OP.BINPERSID);
  }

  #tensor(node: TorchTensorValue): void {
    const { storage, dtype, metadata, subclass } = node;
    const isTyped = dtypeOfStorage(storage.storageClass) === dtype;
    const args: TorchValue[] = [
      storage,
      node.storageOffset,
      { kind: 'tuple', items: node.shape },
      { kind: 'tuple', items: node.strides },
      node.requiresGrad,
      node.hooks,
    ];
    if (!isTyped) args.push(named('torch', dtype));
    if (metadata !== undefined) args.push(metadata);
    const rebuild = named('torch._utils', isTyped ? '_rebuild_tensor_v2' : '_rebuild_tensor_v3');
    if (subclass === undefined) {
      this.#call(node, rebuild, args);
      return;
    }
    const inner: TorchValue = { kind: 'tuple', items: args };
    this.#call(node, named('torch._tensor', '_rebuild_from_type_v2'), [
      rebuild,
      subclass.type,
      inner,
      subclass.state,
    ]);
  }

  #parameter(node: TorchParameter): void {
    const { data, requiresGrad, hooks, state } = node;
    const args: TorchValue[] = [data, requiresGrad, hooks];
    if (state !== undefined) args.push(state);
    const name = state === undefined ? '_rebuild_parameter' : '_rebuild_parameter_with_state';
    this.#call(node, named('torch._utils', name), args);
  }

  #call(node: TorchNode, callable: TorchGlobal, args: readonly TorchValue[]): void {
    this.#global(callable);
    this.#tuple({ kind: 'tuple', items: args });
    this.#out.u8(OP.REDUCE);
    this.#remember(node);
  }

  #build(state: TorchValue): void {
    this.#value(state);
    this.#out.u8(OP.BUILD);
  }

  #appends(items: readonly TorchValue[]): void {
    const [only] = items;
    if (items.length === 1 && only !== undefined) {
      this.#value(only);
      this.#out.u8(OP.APPEND);
      return;
    }
    for (let i = 0; i < items.length; i += BATCH) {
      this.#out.u8(OP.MARK);
      for (const item of items.slice(i, i + BATCH)) this.#value(item);
      this.#out.u8(OP.APPENDS);
    }
  }

  #setItems(entries: readonly TorchEntry[]): void {
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      this.#entry(only);
      this.#out.u8(OP.SETITEM);
      return;
    }
    for (let i = 0; i < entries.length; i += BATCH) {
      this.#out.u8(OP.MARK);
      for (const entry of entries.slice(i, i + BATCH)) this.#entry(entry);
      this.#out.u8(OP.SETITEMS);
    }
  }

  #entry([key, value]: TorchEntry): void {
    this.#value(key);
    this.#value(value);
  }

  #recall(identity: string | TorchNode): boolean {
    const index = this.#memo.get(identity);
    if (index === undefined) return false;
    this.#out.u8(index <= 0xff ? OP.BINGET : OP.LONG_BINGET);
    if (index <= 0xff) this.#out.u8(index);
    else this.#out.u32(index);
    return true;
  }

  #remember(identity: string | TorchNode): void {
    const index = this.#memo.size;
    // A value that is met again while it is being written has no number yet, and then two would be given.
    assert(!this.#memo.has(identity), 'a value of a pickle was numbered twice');
    this.#memo.set(identity, index);
    if (this.#protocol >= 4) {
      this.#out.u8(OP.MEMOIZE);
      return;
    }
    this.#out.u8(index <= 0xff ? OP.BINPUT : OP.LONG_BINPUT);
    if (index <= 0xff) this.#out.u8(index);
    else this.#out.u32(index);
  }
}

function named(module: string, name: string): TorchGlobal {
  return { kind: 'global', module, name };
}

function builtin(name: string): TorchGlobal {
  return named('builtins', name);
}

function bytesNode(value: Uint8Array): TorchBytes {
  return { kind: 'bytes', type: 'bytes', value };
}

function badValue(message: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_VALUE,
    `The value cannot be written as a torch archive: ${message}`,
  );
}
