/**
 * A logical model as its family's Hugging Face files hold it: names, packed tensors, stacked experts.
 *
 * Everything follows from the rules of the family's table and from which logical tensors there are.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { familyTable } from '../families/catalogue.js';
import type { FamilyTable, StoredRule } from '../families/family-table.js';
import type {
  LogicalModel,
  LogicalSizes,
  LogicalTensor,
  Rectangle,
  StoredSpec,
  TensorRole,
} from './logical-model.js';

/** `published`: as checkpoints are on the Hub. `fused`: experts of a layer in one tensor, as transformers 5 keeps them. */
export type HfStyle = 'published' | 'fused';

/** Options of {@link hfLayout}. */
export interface HfLayoutOptions {
  /** Default: `published`. Families without experts have one style only. */
  readonly style?: HfStyle;
}

/**
 * Lists the stored tensors of a Hugging Face directory, in the order of the state dict.
 *
 * Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE` for a family that is not catalogued.
 */
export function hfLayout(model: LogicalModel, options: HfLayoutOptions = {}): StoredSpec[] {
  const table = requireTable(model.family);
  const rules = options.style === 'fused' ? (table.fused ?? table.stored) : table.stored;
  const input = { tensors: indexTensors(model), sizes: model.sizes };
  const isLayered = ({ name }: StoredRule): boolean => name.includes('{layer}');
  const firstLayered = rules.findIndex(isLayered);
  const runs = expertRuns(rules.filter(isLayered));
  const outside = { ...input, layer: null, expert: null };
  const layers = Array.from({ length: model.sizes.layers }, (_, layer) => layer);
  return [
    ...specsOf(rules.slice(0, firstLayered), outside),
    ...layers.flatMap((layer) => layerSpecs(runs, { ...input, layer, expert: null })),
    ...specsOf(
      rules.slice(firstLayered).filter((rule) => !isLayered(rule)),
      outside,
    ),
  ];
}

/** Whether the files hold fused experts, judged by their tensors' names. */
export function hfStyleOf(model: LogicalModel, names: Iterable<string>): HfStyle {
  const { fused, stored } = requireTable(model.family);
  if (fused === undefined) return 'published';
  const published = new Set(stored.map((rule) => rule.name));
  const only = fused.filter((rule) => rule.pack === 'experts' && !published.has(rule.name));
  const endings = only.map((rule) => rule.name.slice(rule.name.indexOf('{layer}') + 7));
  for (const name of names) {
    if (endings.some((ending) => name.endsWith(ending))) return 'fused';
  }
  return 'published';
}

/** The table of a model's family. Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE`. */
export function requireTable(family: string): FamilyTable {
  const table = familyTable(family);
  if (table !== undefined) return table;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_ARCHITECTURE,
    `The family ${family} is not in the catalogue of convertible families`,
    { details: { found: family } },
  );
}

type TensorIndex = ReadonlyMap<string, LogicalTensor>;

function keyOf(tensor: Pick<LogicalTensor, 'role' | 'part' | 'layer' | 'expert'>): string {
  return `${tensor.role}/${tensor.part}/${tensor.layer}/${tensor.expert}`;
}

function indexTensors(model: LogicalModel): TensorIndex {
  return new Map(model.tensors.map((tensor) => [keyOf(tensor), tensor]));
}

interface ExpertRun {
  readonly perExpert: boolean;
  readonly rules: StoredRule[];
}

/** Parts the rules of a layer where they start or stop to be per expert: files list expert by expert. */
function expertRuns(rules: readonly StoredRule[]): readonly ExpertRun[] {
  const runs: ExpertRun[] = [];
  for (const rule of rules) {
    const perExpert = rule.name.includes('{expert}');
    const last = runs.at(-1);
    if (last?.perExpert === perExpert) last.rules.push(rule);
    else runs.push({ perExpert, rules: [rule] });
  }
  return runs;
}

interface PlaceInput {
  readonly tensors: TensorIndex;
  readonly sizes: LogicalSizes;
  readonly layer: number | null;
  readonly expert: number | null;
}

interface SpecInput extends PlaceInput {
  readonly part: LogicalTensor['part'];
}

function layerSpecs(runs: readonly ExpertRun[], input: PlaceInput): StoredSpec[] {
  const experts = Array.from({ length: input.sizes.experts }, (_, expert) => expert);
  return runs.flatMap(({ perExpert, rules }) =>
    perExpert
      ? experts.flatMap((expert) => specsOf(rules, { ...input, expert }))
      : specsOf(rules, input),
  );
}

function specsOf(rules: readonly StoredRule[], input: PlaceInput): StoredSpec[] {
  return rules.flatMap((rule) =>
    (['weight', 'bias'] as const).flatMap((part) => storedSpec(rule, { ...input, part }) ?? []),
  );
}

/** The stored tensor of a rule, or null when the model has nothing to put in it. */
function storedSpec(rule: StoredRule, input: SpecInput): StoredSpec | null {
  const name = rule.name
    .replace('{layer}', String(input.layer))
    .replace('{expert}', String(input.expert))
    .replace('{part}', input.part);
  if (rule.pack === 'experts') return stackedSpec(name, rule.roles, input);
  const parts = rule.roles.flatMap((role) => tensorOf(role, input) ?? []);
  const [first] = parts;
  if (first === undefined) return null;
  const cols = first.shape[1] ?? 1;
  const rows = parts.reduce((sum, tensor) => sum + (tensor.shape[0] ?? 0), 0);
  const shape = first.shape.length === 1 ? [rows] : [rows, cols];
  const rectangles =
    rule.pack === 'groups' ? groupRectangles(parts, input.sizes, cols) : stack(parts, cols, 0);
  return { shard: '', name, shape, rectangles };
}

function tensorOf(role: TensorRole, input: SpecInput): LogicalTensor | undefined {
  return input.tensors.get(keyOf({ ...input, role }));
}

function stackedSpec(
  name: string,
  roles: readonly TensorRole[],
  input: SpecInput,
): StoredSpec | null {
  const rectangles: Rectangle[] = [];
  let shape: readonly number[] = [];
  for (let expert = 0; expert < input.sizes.experts; expert++) {
    const parts = roles.flatMap((role) => tensorOf(role, { ...input, expert }) ?? []);
    if (parts.length === 0) return null;
    const cols = parts[0]?.shape[1] ?? 1;
    const rows = parts.reduce((sum, tensor) => sum + (tensor.shape[0] ?? 0), 0);
    rectangles.push(...stack(parts, cols, expert * rows));
    shape = [input.sizes.experts, rows, cols];
  }
  return rectangles.length === 0 ? null : { shard: '', name, shape, rectangles };
}

/** Whole tensors, one below the other. */
function stack(tensors: readonly LogicalTensor[], cols: number, firstRow: number): Rectangle[] {
  let storedRow = firstRow;
  return tensors.map((tensor) => {
    const rows = tensor.shape[0] ?? 0;
    const rectangle = rowsOf(tensor, { logicalRow: 0, rows, cols, storedRow });
    storedRow += rows;
    return rectangle;
  });
}

/** Group by group: the rows of its queries, of its key, of its value. */
function groupRectangles(
  [q, k, v]: readonly LogicalTensor[],
  { heads, groups, headDim }: LogicalSizes,
  cols: number,
): Rectangle[] {
  if (q === undefined || k === undefined || v === undefined) return [];
  const queries = (heads / groups) * headDim;
  return Array.from({ length: groups }, (_, group) => {
    const storedRow = group * (queries + 2 * headDim);
    const key = { logicalRow: group * headDim, rows: headDim, cols };
    return [
      rowsOf(q, { logicalRow: group * queries, rows: queries, cols, storedRow }),
      rowsOf(k, { ...key, storedRow: storedRow + queries }),
      rowsOf(v, { ...key, storedRow: storedRow + queries + headDim }),
    ];
  }).flat();
}

function rowsOf(
  tensor: LogicalTensor,
  rows: Pick<Rectangle, 'logicalRow' | 'rows' | 'cols' | 'storedRow'>,
): Rectangle {
  return { logical: tensor.id, logicalCol: 0, storedCol: 0, transpose: false, ...rows };
}
