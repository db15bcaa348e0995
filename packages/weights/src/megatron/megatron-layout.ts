/** The layout of a model in the files of a Megatron checkpoint. */
import { TuneyardError } from '@tuneyard/core';
import type {
  LogicalModel,
  LogicalTensor,
  StoredSpec,
  TensorRole,
} from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { assertMegatronSettings } from './check-settings.js';
import { type CutContext, cutTensor } from './cuts.js';
import { placeLayers, type StageChunk } from './layer-placement.js';
import { type LayoutRule, layoutRules, TIED_HEAD_NAMES } from './layout-rules.js';
import {
  allRanks,
  chunkKey,
  KEY_SEPARATOR,
  type MegatronRank,
  rankDirectory,
} from './rank-names.js';
import { type MegatronSettings, paddedVocabulary } from './settings.js';

/** Facts of a checkpoint that is read, where they differ from what would be written. */
export interface ReadLayout {
  /** Rows of the embedding over all ranks, as the files have them; those beyond the vocabulary count for nothing. */
  readonly vocabularyRows: number;
}

/**
 * Every tensor of every rank's file: `shard` is the rank's directory, `name` the key path below the archive's root
 * (`model` or `model0` …, then the parameter), parted by U+001F.
 *
 * Throws: `WEIGHTS_MEGATRON_SETTINGS` with all findings; `WEIGHTS_LAYOUT_UNPLACED` when the layout has no place for a
 * tensor of the model.
 */
export function megatronLayout(
  model: LogicalModel,
  settings: MegatronSettings,
  read: ReadLayout | null = null,
): readonly StoredSpec[] {
  assertMegatronSettings(model, settings, read === null ? 'write' : 'read');
  const layout = new LayoutInProgress(model, settings, read);
  const chunks = placeLayers(model.sizes.layers, settings);
  const specs = allRanks(settings).flatMap((rank) =>
    chunks
      .filter(({ stage }) => stage === rank.stage)
      .flatMap((chunk, _, stageChunks) => layout.chunkSpecs(rank, chunk, stageChunks.length)),
  );
  layout.checkAllPlaced();
  return specs;
}

/** Tensors of one layer (or of none) by role; experts apart. */
interface RoleTable {
  readonly single: Map<string, LogicalTensor>;
  /** By expert. */
  readonly experts: Map<number, Map<string, LogicalTensor>>;
}

type Part = LogicalTensor['part'];

const PARTS: readonly Part[] = ['weight', 'bias'];

function roleKey(role: TensorRole, part: Part): string {
  return `${role}.${part}`;
}

class LayoutInProgress {
  readonly #model: LogicalModel;
  readonly #settings: MegatronSettings;
  readonly #read: ReadLayout | null;
  readonly #rules: readonly LayoutRule[];
  readonly #byLayer = new Map<number | null, RoleTable>();
  readonly #placed = new Set<string>();

  constructor(model: LogicalModel, settings: MegatronSettings, read: ReadLayout | null) {
    this.#model = model;
    this.#settings = settings;
    this.#read = read;
    this.#rules = layoutRules(settings);
    for (const tensor of model.tensors) this.#enter(tensor);
  }

  #enter(tensor: LogicalTensor): void {
    const table: RoleTable = this.#byLayer.get(tensor.layer) ?? {
      single: new Map(),
      experts: new Map(),
    };
    this.#byLayer.set(tensor.layer, table);
    const key = roleKey(tensor.role, tensor.part);
    if (tensor.expert === null) {
      table.single.set(key, tensor);
      return;
    }
    const expert = table.experts.get(tensor.expert) ?? new Map<string, LogicalTensor>();
    table.experts.set(tensor.expert, expert);
    expert.set(key, tensor);
  }

  chunkSpecs(rank: MegatronRank, chunk: StageChunk, chunks: number): readonly StoredSpec[] {
    const shard = rankDirectory(rank, this.#settings);
    const prefix = chunkKey(chunk.chunk, chunks) + KEY_SEPARATOR;
    const ends = this.#byLayer.get(null) ?? { single: new Map(), experts: new Map() };
    const specs: StoredSpec[] = [];
    const take = (rules: readonly LayoutRule[], table: RoleTable, local: number): void => {
      for (const rule of rules) {
        for (const { name, ...tensor } of this.#apply(rule, table, rank)) {
          specs.push({ shard, name: prefix + fill(name, local), ...tensor });
        }
      }
    };
    const rulesAt = (place: LayoutRule['place']): readonly LayoutRule[] =>
      this.#rules.filter((rule) => rule.place === place);
    if (chunk.holdsEmbedding) take(rulesAt('first'), ends, 0);
    const layerRules = rulesAt('layer');
    for (const { local, layer } of chunk.layers) {
      const table = this.#byLayer.get(layer);
      if (table !== undefined) take(layerRules, table, local);
    }
    if (chunk.holdsHead) {
      take(rulesAt('last'), ends, 0);
      take(this.#tiedHead(ends), ends, 0);
    }
    return specs;
  }

  /** With tied embeddings and several stages the last one keeps a copy of the embedding. */
  #tiedHead(ends: RoleTable): readonly LayoutRule[] {
    const { pipelineParallel, spec } = this.#settings;
    if (ends.single.has(roleKey('head', 'weight')) || pipelineParallel === 1) return [];
    return [
      { name: TIED_HEAD_NAMES[spec], place: 'last', roles: ['embedding'], cut: 'vocabulary' },
    ];
  }

  #apply(rule: LayoutRule, table: RoleTable, rank: MegatronRank): readonly NamedTensor[] {
    if (!this.#holds(rule, table)) return [];
    const found: NamedTensor[] = [];
    for (const part of PARTS) {
      if (rule.roles.some((role) => role.startsWith('expert_'))) {
        found.push(...this.#applyToExperts(rule, part, table, rank));
        continue;
      }
      const members = membersOf(rule, part, table.single);
      if (members.length === 0) continue;
      found.push(this.#cut(rule, part, members, this.#context(rank.tensor, 'all')));
    }
    return found;
  }

  #holds(rule: LayoutRule, { single }: RoleTable): boolean {
    const has = (role: TensorRole): boolean =>
      PARTS.some((part) => single.has(roleKey(role, part)));
    if (rule.with !== undefined && !has(rule.with)) return false;
    return rule.without?.some(has) !== true;
  }

  #applyToExperts(
    rule: LayoutRule,
    part: Part,
    table: RoleTable,
    rank: MegatronRank,
  ): readonly NamedTensor[] {
    const { expertParallel, expertsOverTensorRanks, tensorParallel } = this.#settings;
    const expertRanks = expertParallel * (expertsOverTensorRanks ? tensorParallel : 1);
    const expertRank = expertsOverTensorRanks
      ? rank.expert * tensorParallel + rank.tensor
      : rank.expert;
    const count = table.experts.size / expertRanks;
    const mine = Array.from({ length: count }, (_, at) => {
      const expert = table.experts.get(expertRank * count + at);
      return expert === undefined ? [] : membersOf(rule, part, expert);
    });
    if (mine.some((members) => members.length === 0)) return [];
    const context = this.#context(rank.tensor, expertsOverTensorRanks ? 'one' : 'all');
    if (rule.cut === 'grouped_in' || rule.cut === 'grouped_out') {
      return mine.length === 0 ? [] : [this.#cut(rule, part, mine.flat(), context)];
    }
    return mine.map((members, at) => {
      const tensor = this.#cut(rule, part, members, context);
      return { ...tensor, name: tensor.name.replace('{e}', String(at)) };
    });
  }

  #cut(
    rule: LayoutRule,
    part: Part,
    members: readonly LogicalTensor[],
    context: CutContext,
  ): NamedTensor {
    for (const { id } of members) this.#placed.add(id);
    return {
      name: rule.name.replace('{part}', part),
      ...cutTensor(rule, members, context),
    };
  }

  #context(rank: number, sharedBy: 'all' | 'one'): CutContext {
    const { sizes } = this.#model;
    return {
      sizes,
      rank: sharedBy === 'all' ? rank : 0,
      ranks: sharedBy === 'all' ? this.#settings.tensorParallel : 1,
      vocabularyRows: this.#read?.vocabularyRows ?? paddedVocabulary(sizes.vocab, this.#settings),
      padding: this.#read === null ? this.#settings.vocabularyPadding : null,
    };
  }

  checkAllPlaced(): void {
    const left = this.#model.tensors.find(({ id }) => !this.#placed.has(id));
    if (left === undefined) return;
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_LAYOUT_UNPLACED,
      `The Megatron layout '${this.#settings.spec}' has no place for ${left.id} (${left.role})`,
      {
        details: { tensor: left.id, spec: this.#settings.spec },
        hint: "Use the layout 'local' or 'transformer_engine', which hold every family.",
      },
    );
  }
}

interface NamedTensor extends Omit<StoredSpec, 'shard'> {}

/** The rule's tensors, or none unless all are there. Names without `{part}` take what part there is. */
function membersOf(
  rule: LayoutRule,
  part: Part,
  tensors: ReadonlyMap<string, LogicalTensor>,
): readonly LogicalTensor[] {
  const anyPart = !rule.name.includes('{part}');
  if (anyPart && part === 'bias') return [];
  const members = rule.roles.map(
    (role) =>
      tensors.get(roleKey(role, part)) ??
      (anyPart ? tensors.get(roleKey(role, 'bias')) : undefined),
  );
  return members.every((member) => member !== undefined) ? members : [];
}

function fill(name: string, local: number): string {
  return name.replaceAll('/', KEY_SEPARATOR).replace('{n}', String(local));
}
