/** The stack of the pickle machine, with its marks and its budget. */
import { TORCH_ERRORS } from '../../errors.js';
import { MAX_MARKS, MAX_PICKLE_COST } from '../limits.js';
import type { TorchValue } from '../value.js';
import type { ByteCursor } from './byte-cursor.js';

/** Values on the stack; a mark is a height to which a later opcode goes back. */
export class PickleStack {
  readonly #cursor: ByteCursor;
  readonly #values: TorchValue[] = [];
  readonly #marks: number[] = [];
  #spent = 0;

  constructor(cursor: ByteCursor) {
    this.#cursor = cursor;
  }

  /** Counts what the pickle costs. Throws: `TORCH_PICKLE_LIMIT`. */
  charge(cost: number): void {
    this.#spent += cost;
    if (this.#spent > MAX_PICKLE_COST) {
      throw this.#cursor.error(
        TORCH_ERRORS.TORCH_PICKLE_LIMIT,
        `it makes or copies too many values; the limit is a cost of ${MAX_PICKLE_COST}`,
      );
    }
  }

  push(value: TorchValue): void {
    this.#values.push(value);
  }

  pop(): TorchValue {
    const value = this.top();
    this.#values.pop();
    return value;
  }

  /** The value on top, above the last mark. */
  top(): TorchValue {
    const floor = this.#marks.at(-1) ?? 0;
    const value = this.#values.at(-1);
    if (value === undefined || this.#values.length <= floor) throw this.#underflow();
    return value;
  }

  mark(): void {
    if (this.#marks.length === MAX_MARKS) {
      throw this.#cursor.error(
        TORCH_ERRORS.TORCH_PICKLE_LIMIT,
        `it is nested deeper than ${MAX_MARKS} levels`,
      );
    }
    this.#marks.push(this.#values.length);
  }

  /** Takes everything above the last mark, and the mark. */
  popToMark(): TorchValue[] {
    const floor = this.#marks.pop();
    if (floor === undefined) throw this.#underflow();
    return this.#values.splice(floor);
  }

  /** Takes `count` values in the order in which they were pushed. */
  popMany(count: number): TorchValue[] {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#values.length - floor < count) throw this.#underflow();
    return this.#values.splice(this.#values.length - count);
  }

  /** True when nothing lies above the last mark. */
  get isAtMark(): boolean {
    return this.#marks.length > 0 && this.#marks.at(-1) === this.#values.length;
  }

  /** Drops the last mark, above which nothing lies. */
  dropMark(): void {
    this.#marks.pop();
  }

  #underflow(): Error {
    return this.#cursor.error(
      TORCH_ERRORS.TORCH_PICKLE_MALFORMED,
      'an opcode takes more values than there are',
    );
  }
}
