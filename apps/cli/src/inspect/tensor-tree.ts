/**
 * Shows the tensors of a model as a tree in which equal layers appear once.
 *
 * `model.layers.0.mlp.up_proj.weight` … `model.layers.31.mlp.up_proj.weight` become one entry under `layers.0–31`. The
 * depth is capped: names come from files that may be hostile.
 */
import { formatBytes, formatCount } from '@tuneyard/core';
import type { Colors } from '../terminal/color.js';
import { formatTable } from '../terminal/table.js';
import { visibleText } from '../terminal/visible-text.js';

/** One tensor as the tree shows it. */
export interface TensorLine {
  readonly name: string;
  /** Element type in the spelling of the file's format. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly byteLength: number;
}

interface TreeNode {
  readonly label: string;
  readonly tensor: TensorLine | null;
  readonly children: readonly TreeNode[];
  /** How many equal siblings the node stands for. */
  readonly copies: number;
}

const DEPTH_MAX = 12;

/** Columns of a tensor listing; `shapeTitle` says in which order axes are given. */
function columns(shapeTitle: string) {
  return [
    { title: 'tensor' },
    { title: 'type' },
    { title: shapeTitle },
    { title: 'parameters', align: 'right' },
    { title: 'size', align: 'right' },
  ] as const;
}

/** Formats every tensor on a line of its own, in the order given. */
export function formatTensorList(tensors: readonly TensorLine[], shapeTitle: string): string[] {
  return formatTable(
    columns(shapeTitle),
    tensors.map((tensor) => cells(tensor.name, tensor)),
  );
}

/** Formats the tensors as a tree, equal neighbours under a number folded into one. */
export function formatTensorTree(
  tensors: readonly TensorLine[],
  options: { readonly shapeTitle: string; readonly colors: Colors },
): string[] {
  const rows: string[][] = [];
  const visit = (node: TreeNode, indent: number): void => {
    const label = `${'  '.repeat(indent)}${visibleText(node.label)}`;
    const copies = node.copies > 1 ? options.colors.dim(` (${node.copies} alike)`) : '';
    rows.push(node.tensor === null ? [label + copies] : cells(label + copies, node.tensor));
    for (const child of node.children) visit(child, indent + 1);
  };
  for (const node of foldChildren(splitNames(tensors, 0))) visit(node, 0);
  return formatTable(columns(options.shapeTitle), rows);
}

/** Formats a shape: `512 × 64`, or `scalar`. */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' × ');
}

function cells(label: string, tensor: TensorLine): string[] {
  return [
    label,
    tensor.dtype,
    formatShape(tensor.shape),
    formatCount(tensor.elements),
    formatBytes(tensor.byteLength),
  ];
}

/** One level of the tree: tensors by the part of the name at `depth`, in order of first appearance. */
function splitNames(tensors: readonly TensorLine[], depth: number): TreeNode[] {
  const groups = new Map<string, TensorLine[]>();
  for (const tensor of tensors) {
    const part = namePart(tensor.name, depth);
    const members = groups.get(part);
    if (members === undefined) groups.set(part, [tensor]);
    else members.push(tensor);
  }
  return [...groups].map(([label, members]) => {
    const leaf = members.find((member) => namePart(member.name, depth + 1) === '');
    const below = members.filter((member) => member !== leaf);
    const children = below.length === 0 ? [] : foldChildren(splitNames(below, depth + 1));
    return joinOnlyChild({ label, tensor: leaf ?? null, children, copies: 1 });
  });
}

/** One part of a dotted name; at the deepest level all that is left, below it nothing. */
function namePart(name: string, depth: number): string {
  if (depth > DEPTH_MAX) return '';
  const parts = name.split('.');
  return depth === DEPTH_MAX ? parts.slice(depth).join('.') : (parts[depth] ?? '');
}

function joinOnlyChild(node: TreeNode): TreeNode {
  const [only, ...others] = node.children;
  const canJoin =
    node.tensor === null && only !== undefined && others.length === 0 && only.copies === 1;
  return canJoin ? { ...only, label: `${node.label}.${only.label}` } : node;
}

/** Folds runs of numbered neighbours with equal content: `0`, `1`, `2` become `0–2`. */
function foldChildren(children: readonly TreeNode[]): TreeNode[] {
  const folded: { first: TreeNode; last: TreeNode; copies: number; content: string }[] = [];
  for (const child of children) {
    const content = contentOf(child);
    const run = folded.at(-1);
    const continues = run?.content === content && isNumberAfter(run.last.label, child.label);
    if (run !== undefined && continues) {
      run.last = child;
      run.copies++;
    } else folded.push({ first: child, last: child, copies: 1, content });
  }
  return folded.map(({ first, last, copies }) =>
    copies === 1 ? first : { ...first, label: foldLabels(first.label, last.label), copies },
  );
}

/** Everything below a node that must be equal for two to be alike; the node's own number is left out. */
function contentOf(node: TreeNode): string {
  const tensor = node.tensor === null ? '' : `${node.tensor.dtype}[${node.tensor.shape.join()}]`;
  const label = node.label.replace(/^\d+/, '#');
  const below = node.children.map((child) => `${child.label}:${contentOf(child)}`);
  return `${label}${tensor}{${below.join(';')}}`;
}

function isNumberAfter(before: string, after: string): boolean {
  const [a, b] = [/^\d+/.exec(before)?.[0], /^\d+/.exec(after)?.[0]];
  return a !== undefined && b !== undefined && Number(b) === Number(a) + 1;
}

function foldLabels(first: string, last: string): string {
  return first.replace(/^\d+/, `$&–${/^\d+/.exec(last)?.[0] ?? ''}`);
}
