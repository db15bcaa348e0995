/**
 * Interprets a pickle into plain data, without Python and without executing anything.
 *
 * A pickle is a program for a small stack machine. Protocols 0 to 5 are understood; extension codes and buffers outside
 * of the pickle are refused. Source: Lib/pickle.py and Lib/pickletools.py of Python 3.11.
 * Checked against: test/fixtures/torch, which torch and Python's pickle wrote.
 */
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import type { TorchGlobal, TorchValue } from '../value.js';
import { ByteCursor } from './byte-cursor.js';
import { isForbiddenGlobal, modernModule, modernName } from './globals.js';
import { HANDLERS, OPCODE_COSTS } from './opcode-handlers.js';
import { OP, OPCODE_NAMES } from './opcodes.js';
import { PickleStack } from './pickle-stack.js';
import type { StorageTable } from './storage-table.js';

/** Options of {@link parsePickle}. */
export interface ParsePickleOptions {
  /** Names the file, and the part of it, in messages. */
  readonly where: string;
  /** Offset of the first opcode; bytes may follow the pickle. Default 0. */
  readonly start?: number;
  /** Takes the storages that the pickle names; without it such names are refused. */
  readonly storages?: StorageTable;
}

/** A pickle read. */
export interface ParsedPickle {
  readonly value: TorchValue;
  /** Offset of the byte after the pickle. */
  readonly end: number;
  /** Declared protocol; 0 when the pickle declares none. */
  readonly protocol: number;
}

/**
 * Reads one pickle.
 *
 * Throws: `TORCH_PICKLE_…`, see errors.ts. Cost: one pass; values up to {@link MAX_PICKLE_COST}.
 */
export function parsePickle(bytes: Uint8Array, options: ParsePickleOptions): ParsedPickle {
  const cursor = new ByteCursor(bytes, { where: options.where, start: options.start ?? 0 });
  const machine = new PickleMachine(cursor, options.storages ?? null);
  return machine.run();
}

/** State of an interpretation; handlers of opcodes work on it. */
export class PickleMachine {
  readonly cursor: ByteCursor;
  readonly stack: PickleStack;
  readonly storages: StorageTable | null;
  readonly memo = new Map<number, TorchValue>();
  protocol = 0;
  readonly #globals = new Map<string, TorchGlobal>();

  constructor(cursor: ByteCursor, storages: StorageTable | null) {
    this.cursor = cursor;
    this.stack = new PickleStack(cursor);
    this.storages = storages;
  }

  run(): ParsedPickle {
    for (;;) {
      const opcode = this.cursor.u8();
      if (opcode === OP.STOP) break;
      const handler = HANDLERS[opcode];
      if (handler === undefined) throw this.#badOpcode(opcode);
      this.stack.charge(OPCODE_COSTS[opcode] ?? 1);
      handler(this);
    }
    const value = this.stack.pop();
    return { value, end: this.cursor.at, protocol: this.protocol };
  }

  /** The one node of a global name. Throws: `TORCH_PICKLE_FORBIDDEN_GLOBAL`. */
  global(module: string, name: string): TorchGlobal {
    const key = `${module}\n${name}`;
    const known = this.#globals.get(key);
    if (known !== undefined) return known;
    const node: TorchGlobal = {
      kind: 'global',
      module: modernModule(module),
      name: modernName(modernModule(module), name),
    };
    if (isForbiddenGlobal(node.module, node.name)) {
      throw this.cursor.error(
        TORCH_ERRORS.TORCH_PICKLE_FORBIDDEN_GLOBAL,
        `the pickle names ${quoteName(`${module}.${name}`)}, which no checkpoint needs and an attack does`,
      );
    }
    this.#globals.set(key, node);
    return node;
  }

  /** Error for a pickle that no writer makes. */
  malformed(message: string): Error {
    return this.cursor.error(TORCH_ERRORS.TORCH_PICKLE_MALFORMED, message);
  }

  #badOpcode(opcode: number): Error {
    const name = OPCODE_NAMES.get(opcode);
    return this.cursor.error(
      TORCH_ERRORS.TORCH_PICKLE_BAD_OPCODE,
      name === undefined
        ? `0x${opcode.toString(16).padStart(2, '0')} is not an opcode`
        : `the opcode ${name} is not supported, because it needs things outside of the pickle`,
    );
  }
}
