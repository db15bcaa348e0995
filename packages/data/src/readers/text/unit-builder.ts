/** Gathers records of a stream into units whose bytes can be handed to another thread. */
import type { DelimitedTable, RecordUnit } from '../read-unit.js';

/** What all units of one stream have in common. */
export interface UnitKind {
  readonly path: string;
  readonly layout: RecordUnit['layout'];
  readonly table: DelimitedTable | null;
}

const LINE_FEED = 0x0a;

/** Gathers records, one per line, until there are about `unitBytes` of them. */
export class UnitBuilder {
  readonly #kind: UnitKind;
  readonly #unitBytes: number;
  #buffer: Buffer<ArrayBuffer>;
  #bytes = 0;
  #lines: number[] = [];

  constructor(kind: UnitKind, unitBytes: number) {
    this.#kind = kind;
    this.#unitBytes = unitBytes;
    this.#buffer = Buffer.allocUnsafeSlow(unitBytes);
  }

  /** Whether the unit has the size that was asked for. */
  get isFull(): boolean {
    return this.#bytes >= this.#unitBytes;
  }

  /** Adds a record, which holds no line end that would part it, and the line of the file on which it begins. */
  add(record: Uint8Array, line: number): void {
    const needed = this.#bytes + record.length + 1;
    if (needed > this.#buffer.length) this.#grow(needed);
    this.#buffer.set(record, this.#bytes);
    this.#buffer[needed - 1] = LINE_FEED;
    this.#bytes = needed;
    this.#lines.push(line);
  }

  /** Takes the unit and begins the next; null when no record was added. */
  take(): RecordUnit | null {
    const firstLine = this.#lines[0];
    if (firstLine === undefined) return null;
    const unit: RecordUnit = {
      kind: 'records',
      ...this.#kind,
      bytes: new Uint8Array(this.#buffer.buffer, 0, this.#bytes),
      firstLine,
      recordLines: Int32Array.from(this.#lines),
    };
    this.#buffer = Buffer.allocUnsafeSlow(this.#unitBytes);
    this.#bytes = 0;
    this.#lines = [];
    return unit;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.ceil(this.#buffer.length * 1.25)));
    this.#buffer.copy(larger, 0, 0, this.#bytes);
    this.#buffer = larger;
  }
}
