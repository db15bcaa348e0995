/**
 * Rows that repeat others: within the training data, and from it into the held-out data.
 *
 * Rows are added in order and told apart only at the end, because a share of them may be held out by a draw that
 * needs their number. Memory: some 450 bytes per row and the budget of near-duplicates.ts.
 */
import type { RowOrigin } from '../../handlers/conversation.js';
import { type Finding, FindingLog, percent } from '../finding.js';
import { FINDINGS } from '../finding-catalog.js';
import { HashTable } from './kernels/hash-table.js';
import { IntList } from './kernels/int-list.js';
import { NearDuplicateIndex } from './near-duplicates.js';
import type { RowDigest } from './row-digest.js';

/** Least similarity at which two rows count as nearly the same. */
const NEAR_SIMILARITY = 0.9;
const NONE = -1;

/** Share and number of rows with one answer above which it is suspicious. */
const REPEATED_SHARE = 0.05;
const REPEATED_ROWS = 10;
/** Distinct answers up to which answers are labels of a classification. */
const LABELS_MAX = 20;
const IMBALANCE_SHARE = 0.9;
const ROWS_FOR_IMBALANCE = 50;

/** Collects rows, then says which repeat others. */
export class RepeatChecks {
  readonly #near = new NearDuplicateIndex({ threshold: NEAR_SIMILARITY });
  readonly #whole = new HashTable();
  readonly #questions = new HashTable();
  readonly #answers = new HashTable();
  /** Per row: the first row that is the same, or asks the same, or answers the same; and a near one, or none. */
  readonly #sameAs = new IntList();
  readonly #asksAs = new IntList();
  readonly #answersAs = new IntList();
  readonly #nearTo = new IntList();
  readonly #sources: string[] = [];
  readonly #sourceOf = new IntList();
  readonly #rowOf = new IntList();

  /** Rows added. */
  get size(): number {
    return this.#rowOf.length;
  }

  /** Adds the next row. Returns the earlier row that is the same, if there is one. */
  add(digest: RowDigest, origin: RowOrigin): RowOrigin | undefined {
    const index = this.size;
    const { whole, question, answer, words } = digest;
    const same = firstOf(this.#whole, whole, index);
    this.#sameAs.push(same);
    this.#asksAs.push(question === null ? index : firstOf(this.#questions, question, index));
    this.#answersAs.push(firstOf(this.#answers, answer, index));
    // A copy is as near to others as its original; the number has to be taken all the same.
    const near = this.#near.findAndAdd(same === index ? words : new Int32Array(0));
    this.#nearTo.push(same === index && words.length > 0 ? (near?.index ?? NONE) : NONE);
    if (this.#sources.at(-1) !== origin.source) this.#sources.push(origin.source);
    this.#sourceOf.push(this.#sources.length - 1);
    this.#rowOf.push(origin.row);
    return same === index ? undefined : this.#origin(same);
  }

  /** What repeats what. `isHeldOut` says of a row, by its number from 0, whether it is kept from training. */
  finish(isHeldOut: (index: number) => boolean): Finding[] {
    const trains = this.#trainingClusters(isHeldOut);
    const log = new FindingLog();
    const seen = new Uint8Array(this.size);
    for (let i = 0; i < this.size; i++) {
      if (isHeldOut(i)) this.#logLeak(log, i, trains);
      else this.#logRepeat(log, i, { seen, isHeldOut });
    }
    return [
      ...log.take('exact_duplicate'),
      ...log.take('contradiction'),
      ...log.take('near_duplicate'),
      ...log.take('validation_leak'),
      ...log.take('validation_prompt_leak'),
      ...log.take('validation_near_leak'),
      ...this.#answerFindings(),
    ];
  }

  /** Bits per first row of a cluster: 1 = trained on as it is, 2 = its question, 4 = something near. */
  #trainingClusters(isHeldOut: (index: number) => boolean): Clusters {
    const near = new DisjointSets(this.size);
    for (let i = 0; i < this.size; i++) {
      if (this.#nearTo.at(i) !== NONE) near.join(i, this.#nearTo.at(i));
    }
    const trained = new Uint8Array(this.size);
    const set = (index: number, bit: number) => {
      trained[index] = (trained[index] ?? 0) | bit;
    };
    for (let i = 0; i < this.size; i++) {
      if (isHeldOut(i)) continue;
      set(this.#sameAs.at(i), 1);
      set(this.#asksAs.at(i), 2);
      set(near.find(this.#sameAs.at(i)), 4);
    }
    return { near, has: (index, bit) => ((trained[index] ?? 0) & bit) !== 0 };
  }

  #logLeak(log: FindingLog, index: number, { near, has }: Clusters): void {
    const same = this.#sameAs.at(index);
    const asks = this.#asksAs.at(index);
    const origin = this.#origin(index);
    if (has(same, 1)) log.add('validation_leak', origin, this.#like(same, index));
    else if (has(asks, 2)) log.add('validation_prompt_leak', origin, this.#like(asks, index));
    else if (has(near.find(same), 4)) {
      const other = this.#nearTo.at(index);
      log.add(
        'validation_near_leak',
        origin,
        other === NONE ? undefined : this.#like(other, index),
      );
    }
  }

  #logRepeat(log: FindingLog, index: number, context: RepeatContext): void {
    const { seen, isHeldOut } = context;
    const same = this.#sameAs.at(index);
    const asks = this.#asksAs.at(index);
    const near = this.#nearTo.at(index);
    const origin = this.#origin(index);
    const isFirst = seen[same] === 0;
    seen[same] = 1;
    if (!isFirst) log.add('exact_duplicate', origin, this.#like(same, index));
    else if (
      asks !== index &&
      !isHeldOut(asks) &&
      this.#answersAs.at(asks) !== this.#answersAs.at(index)
    ) {
      log.add('contradiction', origin, this.#like(asks, index));
    } else if (near !== NONE && !isHeldOut(near)) {
      log.add('near_duplicate', origin, this.#like(near, index));
    }
  }

  #answerFindings(): Finding[] {
    const { top, most, asked } = this.#commonAnswer();
    const distinct = this.#answers.size;
    const isLabels = distinct <= LABELS_MAX;
    const isSuspicious = isLabels
      ? asked >= ROWS_FOR_IMBALANCE && most / asked >= IMBALANCE_SHARE && distinct > 1
      : most >= REPEATED_ROWS && most / asked >= REPEATED_SHARE;
    if (!isSuspicious) return [];
    const log = new FindingLog();
    const code = isLabels ? 'label_imbalance' : 'repeated_answer';
    for (let i = 0; i < this.size; i++) {
      if (this.#sameAs.at(i) === i && this.#answersAs.at(i) === top) log.add(code, this.#origin(i));
    }
    return log.take(code, { what: `${FINDINGS[code].what}: ${percent(most / asked)} of the rows` });
  }

  /** The first row with the most common answer, and how many of the rows that are not copies have it. */
  #commonAnswer(): { readonly top: number; readonly most: number; readonly asked: number } {
    const counts = new Int32Array(this.size);
    let asked = 0;
    let top = 0;
    for (let i = 0; i < this.size; i++) {
      if (this.#sameAs.at(i) !== i) continue;
      asked++;
      const answer = this.#answersAs.at(i);
      counts[answer] = (counts[answer] ?? 0) + 1;
      if ((counts[answer] ?? 0) > (counts[top] ?? 0)) top = answer;
    }
    return { top, most: counts[top] ?? 0, asked };
  }

  #like(index: number, seenFrom: number): string {
    const { source, row } = this.#origin(index);
    const isNear = this.#sourceOf.at(index) === this.#sourceOf.at(seenFrom);
    return isNear ? `row ${row}` : `${source} row ${row}`;
  }

  #origin(index: number): RowOrigin {
    return { source: this.#sources[this.#sourceOf.at(index)] ?? '', row: this.#rowOf.at(index) };
  }
}

interface Clusters {
  readonly near: DisjointSets;
  has(index: number, bit: number): boolean;
}

interface RepeatContext {
  /** 1 = a copy of this row is in the training data already. */
  readonly seen: Uint8Array;
  isHeldOut(index: number): boolean;
}

function firstOf(table: HashTable, hash: RowDigest['whole'], index: number): number {
  const known = table.get(hash);
  if (known >= 0) return known;
  table.set(hash, index);
  return index;
}

/** Union-find with path halving. */
class DisjointSets {
  readonly #parents: Int32Array;

  constructor(size: number) {
    this.#parents = Int32Array.from({ length: size }, (_, i) => i);
  }

  find(index: number): number {
    let at = index;
    for (;;) {
      const parent = this.#parents[at] ?? at;
      if (parent === at) return at;
      const next = this.#parents[parent] ?? parent;
      this.#parents[at] = next;
      at = next;
    }
  }

  join(a: number, b: number): void {
    this.#parents[this.find(a)] = this.find(b);
  }
}
