/**
 * How many threads one graph is worth.
 *
 * ggml's threads wait for each other by spinning. A small model's operations end before a second thread has
 * woken up, and on cores that are busy with something else two threads were measured hundreds of times slower
 * than one.
 */

/** Weights below this are computed faster by one thread. */
const SMALL_MODEL_BYTES = 50e6;

/** Threads for graphs over weights of this size, of those offered. */
export function worthwhileThreads(weightBytes: number, offered: number): number {
  return weightBytes < SMALL_MODEL_BYTES ? 1 : offered;
}
