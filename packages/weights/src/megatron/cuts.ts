/**
 * How a rank's tensor is made of logical ones: the rectangles of each `Cut`.
 *
 * Every cut is a formula on row and column ranges; sizes must divide (the settings checks see to it). Checked against
 * naive element-by-element definitions and against the shards of MindSpeed-LLM's converter.
 */
import { assert } from '@tuneyard/core';
import type { LogicalSizes, LogicalTensor, Rectangle } from '../convert/logical-model.js';
import type { LayoutRule } from './layout-rules.js';
import type { VocabularyPadding } from './settings.js';

/** What decides a rank's part. */
export interface CutContext {
  readonly sizes: LogicalSizes;
  /** Rank and number of ranks that share the tensor. */
  readonly rank: number;
  readonly ranks: number;
  /** Rows of embedding and head with padding, all ranks together. */
  readonly vocabularyRows: number;
  /** Null: rows beyond the vocabulary hold nothing (a checkpoint that is read). */
  readonly padding: VocabularyPadding | null;
}

/** A stored tensor without its name. */
export interface CutTensor {
  readonly shape: readonly number[];
  readonly rectangles: readonly Rectangle[];
  readonly view?: { readonly rows: number; readonly cols: number };
}

/** Cuts the rank's tensor out of its members; grouped experts come as gate, up, gate, up … or down, down …. */
export function cutTensor(
  rule: Pick<LayoutRule, 'cut' | 'headRows'>,
  members: readonly LogicalTensor[],
  context: CutContext,
): CutTensor {
  switch (rule.cut) {
    case 'whole':
      return stack(members, (member) => ({ begin: 0, count: rowsOf(member) }));
    case 'rows':
    case 'halves':
      return stack(members, (member) => share(rowsOf(member), context));
    case 'vocabulary':
      return cutVocabulary(only(members), context);
    case 'columns':
      return cutColumns(only(members), context);
    case 'head_rows':
      return cutHeadRows(only(members), rule, context);
    case 'groups':
      return cutGroups(members, context);
    case 'grouped_in':
      return groupExpertsIn(members, context);
    case 'grouped_out':
      return groupExpertsOut(members, context);
  }
}

interface Run {
  readonly begin: number;
  readonly count: number;
}

function share(size: number, { rank, ranks }: CutContext): Run {
  const count = size / ranks;
  assert(Number.isInteger(count), `${size} is divisible by ${ranks} ranks`);
  return { begin: rank * count, count };
}

function stack(
  members: readonly LogicalTensor[],
  runOf: (member: LogicalTensor) => Run,
): CutTensor {
  const rectangles: Rectangle[] = [];
  let storedRow = 0;
  for (const member of members) {
    const { begin, count } = runOf(member);
    rectangles.push(rowBlock(member, begin, count, storedRow));
    storedRow += count;
  }
  return { shape: shapeLike(members[0], storedRow), rectangles };
}

function cutVocabulary(member: LogicalTensor, context: CutContext): CutTensor {
  const vocabulary = rowsOf(member);
  const { begin, count } = share(context.vocabularyRows, context);
  const end = begin + count;
  const rectangles: Rectangle[] = [];
  if (begin < vocabulary) {
    rectangles.push(rowBlock(member, begin, Math.min(end, vocabulary) - begin, 0));
  }
  const firstPad = Math.max(begin, vocabulary);
  if (context.padding === 'last_row') {
    for (let row = firstPad; row < end; row++) {
      rectangles.push(rowBlock(member, vocabulary - 1, 1, row - begin));
    }
  } else if (context.padding === 'tail_rows' && firstPad < end) {
    const tail = 2 * vocabulary - context.vocabularyRows;
    rectangles.push(
      rowBlock(member, tail + firstPad - vocabulary, end - firstPad, firstPad - begin),
    );
  }
  return { shape: shapeLike(member, count), rectangles };
}

function cutColumns(member: LogicalTensor, context: CutContext): CutTensor {
  const rows = rowsOf(member);
  if (member.shape.length < 2) return stack([member], () => ({ begin: 0, count: rows }));
  const { begin, count } = share(colsOf(member), context);
  const rectangle = { ...rowBlock(member, 0, rows, 0), logicalCol: begin, cols: count };
  return { shape: [rows, count], rectangles: [rectangle] };
}

function cutHeadRows(
  member: LogicalTensor,
  { headRows }: Pick<LayoutRule, 'headRows'>,
  context: CutContext,
): CutTensor {
  const { latent, heads } = context.sizes;
  assert(latent !== undefined && headRows !== undefined, 'the cut is of latent attention');
  const { begin, count, of } = headRows(latent);
  const mine = share(heads, context);
  const rectangles = Array.from({ length: mine.count }, (_, at) =>
    rowBlock(member, (mine.begin + at) * of + begin, count, at * count),
  );
  return { shape: shapeLike(member, mine.count * count), rectangles };
}

/** For each group of the rank: its query heads, its key head, its value head. */
function cutGroups(members: readonly LogicalTensor[], context: CutContext): CutTensor {
  const { begin, count } = share(context.sizes.groups, context);
  const rectangles: Rectangle[] = [];
  let storedRow = 0;
  for (let group = begin; group < begin + count; group++) {
    for (const member of members) {
      const rows = rowsOf(member) / context.sizes.groups;
      assert(Number.isInteger(rows), `${member.id} is divisible by the number of groups`);
      rectangles.push(rowBlock(member, group * rows, rows, storedRow));
      storedRow += rows;
    }
  }
  return { shape: shapeLike(members[0], storedRow), rectangles };
}

/** Memory: [expert][hidden][gate of the rank, up of the rank]; declared [hidden, everything else]. */
function groupExpertsIn(members: readonly LogicalTensor[], context: CutContext): CutTensor {
  const rectangles: Rectangle[] = [];
  let [hidden, width] = [0, 0];
  for (const [at, member] of members.entries()) {
    const { begin, count } = share(rowsOf(member), context);
    [hidden, width] = [colsOf(member), 2 * count];
    rectangles.push({
      ...rowBlock(member, begin, count, Math.floor(at / 2) * hidden),
      storedCol: (at % 2) * count,
      transpose: true,
    });
  }
  const experts = members.length / 2;
  return {
    shape: [hidden, experts * width],
    rectangles,
    view: { rows: experts * hidden, cols: width },
  };
}

/** Memory and shape: [expert, ffn of the rank][hidden]. */
function groupExpertsOut(members: readonly LogicalTensor[], context: CutContext): CutTensor {
  const rectangles: Rectangle[] = [];
  let [hidden, storedRow] = [0, 0];
  for (const member of members) {
    const { begin, count } = share(colsOf(member), context);
    hidden = rowsOf(member);
    rectangles.push({
      ...rowBlock(member, 0, hidden, storedRow),
      logicalCol: begin,
      cols: count,
      transpose: true,
    });
    storedRow += count;
  }
  return { shape: [storedRow, hidden], rectangles };
}

function rowBlock(
  member: LogicalTensor,
  logicalRow: number,
  rows: number,
  storedRow: number,
): Rectangle {
  return {
    logical: member.id,
    logicalRow,
    logicalCol: 0,
    rows,
    cols: colsOf(member),
    storedRow,
    storedCol: 0,
    transpose: false,
  };
}

function only(members: readonly LogicalTensor[]): LogicalTensor {
  const [member] = members;
  assert(member !== undefined && members.length === 1, 'the cut is of one tensor');
  return member;
}

function shapeLike(member: LogicalTensor | undefined, rows: number): readonly number[] {
  return member === undefined ? [rows] : [rows, ...member.shape.slice(1)];
}

function rowsOf(member: LogicalTensor): number {
  return member.shape[0] ?? 1;
}

function colsOf(member: LogicalTensor): number {
  return member.shape[1] ?? 1;
}
