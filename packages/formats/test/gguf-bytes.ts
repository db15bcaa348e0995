/**
 * An encoder of GGUF files that shares nothing with the product's writer: the second oracle of the
 * suites here. It checks nothing, so it can write files that no writer should, and it remembers where
 * each count lies.
 */

/** Where a count, length, code or offset lies. */
export interface CountField {
  readonly label: string;
  readonly offset: number;
  readonly bytes: 4 | 8;
}

/** Appends fields; `fields` lists the numeric ones that a hostile file could change. */
export class GgufBytes {
  readonly fields: CountField[] = [];
  #parts: Uint8Array[] = [];
  #length = 0;

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u32(label: string, value: number): this {
    this.fields.push({ label, offset: this.#length, bytes: 4 });
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.raw(bytes);
  }

  u64(label: string, value: number | bigint): this {
    this.fields.push({ label, offset: this.#length, bytes: 8 });
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    return this.raw(bytes);
  }

  text(label: string, value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.u64(`length of ${label}`, bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  pad(alignment: number): this {
    while (this.#length % alignment !== 0) this.u8(0);
    return this;
  }

  /** Magic, version 3 unless told otherwise, and the two counts. */
  start(counts: { tensors: number | bigint; keys: number | bigint; version?: number }): this {
    return this.raw(new TextEncoder().encode('GGUF'))
      .u32('version', counts.version ?? 3)
      .u64('tensor count', counts.tensors)
      .u64('key count', counts.keys);
  }

  /** A key with a string value. */
  stringKey(key: string, value: string): this {
    return this.text(`key ${key}`, key).u32(`type of ${key}`, 8).text(`value of ${key}`, value);
  }

  /** A tensor info. */
  tensor(
    name: string,
    info: { shape: (number | bigint)[]; type: number; offset: number | bigint },
  ) {
    this.text(`name ${name}`, name).u32(`dimension count of ${name}`, info.shape.length);
    for (const [axis, size] of info.shape.entries()) this.u64(`ne${axis} of ${name}`, size);
    return this.u32(`element type of ${name}`, info.type).u64(`offset of ${name}`, info.offset);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#parts.flatMap((part) => [...part]));
  }
}

/** Two tensors, a string, an array of strings and an array of numbers, in fewer than 400 bytes. */
export function smallGguf(): GgufBytes {
  const file = new GgufBytes().start({ tensors: 2, keys: 3 });
  file.stringKey('general.architecture', 'llama');
  file.text('key tokens', 'tokens').u32('type of tokens', 9).u32('item type of tokens', 8);
  file.u64('item count of tokens', 2).text('first token', 'a').text('second token', 'é');
  file.text('key scores', 'scores').u32('type of scores', 9).u32('item type of scores', 6);
  file.u64('item count of scores', 2).raw(new Uint8Array(Float32Array.of(0.5, -1).buffer));
  file.tensor('a', { shape: [4, 2], type: 0, offset: 0 });
  file.tensor('b', { shape: [16], type: 30, offset: 32 });
  file.pad(32);
  return file.raw(new Uint8Array(64).map((_, i) => i + 1));
}
