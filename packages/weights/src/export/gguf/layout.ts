/**
 * The tensors of a GGUF file as rows of logical tensors: one more layout of a model beside Hugging Face's and
 * Megatron's, with what those do not have: reordered rows, stacked experts, heads turned for MLA.
 */
import { assert } from '@tuneyard/core';
import type { LogicalModel, LogicalTensor } from '../../convert/logical-model.js';
import type { GgufRules } from '../../families/family-table.js';
import { GGUF_ROLE_NAMES } from './architectures.js';

/** A run of rows of a logical tensor inside a GGUF tensor. */
export interface GgufPart {
  /** Id of the logical tensor. */
  readonly logical: string;
  readonly logicalRow: number;
  /** Rows of the logical tensor. */
  readonly rows: number;
  readonly cols: number;
  /** First row in the GGUF tensor, whose dimensions but the last count as rows. */
  readonly row: number;
  /** The GGUF tensor holds columns as rows. */
  readonly isTransposed: boolean;
  /** Rows are interleaved for rotation within heads of this many rows; null: in order. */
  readonly interleavedHeadDim: number | null;
}

/** What happens to values on the way; undone on the way back where it can be. */
export type GgufValueRule = 'add-one' | 'normalize-rows' | null;

/** One tensor of the file. */
export interface GgufTensorSpec {
  readonly name: string;
  /** Hugging Face order: the last number is the length of a row. GGUF states it reversed. */
  readonly shape: readonly number[];
  readonly parts: readonly GgufPart[];
  readonly values: GgufValueRule;
}

/** What of a family the layout depends on. */
export interface GgufLayoutRules extends GgufRules {
  /** Rows of the head are stored at length one (Baichuan 2 normalizes them when it computes). */
  readonly normalizesHead?: boolean;
  /** Latent keys and values are one tensor, as files were before llama.cpp computed in the latent space. */
  readonly keepsLatentWhole?: boolean;
}

/** Lists the tensors in the order of the logical ones. */
export function ggufLayout(
  model: LogicalModel,
  family: GgufLayoutRules,
): readonly GgufTensorSpec[] {
  const groups = new Map<string, LogicalTensor[]>();
  for (const tensor of model.tensors) {
    const name = ggufName(tensor, family);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [tensor]);
    else group.push(tensor);
  }
  return [...groups].flatMap(([name, tensors]) => {
    if (tensors[0]?.role === 'kv_b' && family.keepsLatentWhole !== true)
      return latentHeads(name, tensors[0], model);
    return [groupSpec(name, tensors, { model, family })];
  });
}

function ggufName({ role, part, layer }: LogicalTensor, family: GgufLayoutRules): string {
  const packed = family.packed?.find(({ roles }) => roles.includes(role));
  const module = packed?.name ?? family.names?.[role] ?? GGUF_ROLE_NAMES[role];
  const suffix = role === 'router_bias' ? 'bias' : part;
  return `${layer === null ? '' : `blk.${layer}.`}${module}.${suffix}`;
}

interface LayoutContext {
  readonly model: LogicalModel;
  readonly family: GgufLayoutRules;
}

function groupSpec(
  name: string,
  tensors: readonly LogicalTensor[],
  { model, family }: LayoutContext,
): GgufTensorSpec {
  let row = 0;
  const parts = tensors.map((tensor): GgufPart => {
    const [rows, cols] = sizeOf(tensor);
    const part: GgufPart = {
      logical: tensor.id,
      logicalRow: 0,
      rows,
      cols,
      row,
      isTransposed: false,
      interleavedHeadDim: isInterleaved(tensor, family) ? model.sizes.headDim : null,
    };
    row += rows;
    return part;
  });
  const first = tensors[0];
  assert(first !== undefined, `${name}: an empty group`);
  return { name, shape: shapeOf(tensors, row), parts, values: valueRule(first, family) };
}

/** Experts get a dimension of their own; the gate of a shared expert, one row, is a vector in GGUF. */
function shapeOf(tensors: readonly LogicalTensor[], rows: number): readonly number[] {
  const first = tensors[0];
  if (first === undefined || tensors.length === 1) {
    const isRow = first?.role === 'shared_router' && first.part === 'weight';
    return isRow ? first.shape.slice(1) : (first?.shape ?? []);
  }
  const [, ...inner] = first.shape;
  if (first.expert !== null) return [tensors.length, ...first.shape];
  return [rows, ...inner];
}

function sizeOf({ shape, role }: LogicalTensor): readonly [rows: number, cols: number] {
  assert(shape.length <= 2, `${role}: more dimensions than two`);
  return [shape[0] ?? 1, shape[1] ?? 1];
}

function isInterleaved({ role }: LogicalTensor, family: GgufLayoutRules): boolean {
  return family.permutesRotary && (role === 'q' || role === 'k');
}

function valueRule({ role }: LogicalTensor, family: GgufLayoutRules): GgufValueRule {
  if (family.normOffset === 1 && role.endsWith('norm')) return 'add-one';
  if (family.normalizesHead === true && role === 'head') return 'normalize-rows';
  return null;
}

/**
 * Multi-head latent attention: the rows of each head divide into keys, turned so that queries can be multiplied
 * into the latent space, and values. Both get a dimension for the heads.
 */
function latentHeads(name: string, tensor: LogicalTensor, model: LogicalModel): GgufTensorSpec[] {
  const { heads, latent } = model.sizes;
  assert(latent !== undefined, `${name}: no latent sizes`);
  const { plainHeadDim: plain, valueHeadDim: value, keyValueRank: rank } = latent;
  const spec = (
    suffix: 'k_b' | 'v_b',
    first: number,
    form: { readonly rows: number; readonly isTransposed: boolean },
  ): GgufTensorSpec => {
    const { rows, isTransposed } = form;
    const stored = isTransposed ? [rank, rows] : [rows, rank];
    return {
      name: name.replace('attn_kv_b', `attn_${suffix}`),
      shape: [heads, ...stored],
      values: null,
      parts: Array.from({ length: heads }, (_, head) => ({
        logical: tensor.id,
        logicalRow: head * (plain + value) + first,
        rows,
        cols: rank,
        row: head * (stored[0] ?? 0),
        isTransposed,
        interleavedHeadDim: null,
      })),
    };
  };
  return [
    spec('k_b', 0, { rows: plain, isTransposed: true }),
    spec('v_b', plain, { rows: value, isTransposed: false }),
  ];
}
