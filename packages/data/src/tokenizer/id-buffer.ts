/** A growing list of ids that kernels write to directly. */
export class IdBuffer {
  ids = new Int32Array(1024);
  length = 0;

  /** Forgets the contents and keeps the memory. */
  clear(): void {
    this.length = 0;
  }

  push(id: number): void {
    this.reserve(1);
    this.ids[this.length++] = id;
  }

  append(ids: Int32Array, count: number): void {
    this.reserve(count);
    if (count < 16) {
      for (let i = 0; i < count; i++) {
        this.ids[this.length + i] = ids[i] ?? 0;
      }
    } else {
      this.ids.set(ids.subarray(0, count), this.length);
    }
    this.length += count;
  }

  /** A copy of the ids so far. */
  toArray(): Int32Array {
    return this.ids.slice(0, this.length);
  }

  /** Makes room for `count` more ids; `ids` may be another array afterwards. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed > this.ids.length) {
      const grown = new Int32Array(Math.max(needed, this.ids.length * 2));
      grown.set(this.ids.subarray(0, this.length));
      this.ids = grown;
    }
  }
}
