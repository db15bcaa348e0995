/** Reads from a configuration, by a family's table, all that decides which tensors exist and how large they are. */
import type { LatentSizes, LogicalSizes } from '../convert/logical-model.js';
import type {
  ExpertRules,
  FamilyTable,
  FlagRule,
  LatentRules,
  SizeRule,
} from '../families/family-table.js';
import { type FieldReader, isIntegerWithin, MAX_SIZE_FIELD } from './fields.js';

/**
 * Most layers times experts that a configuration may state: each is at least one object in memory. The largest known
 * is 23 424 (Kimi K2: 61 layers of 384 experts).
 */
const MAX_LAYER_EXPERTS = 2 ** 16;

/** Sizes and switches of one model. */
export interface ModelSizing {
  readonly sizes: LogicalSizes;
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
  readonly qkNorm: boolean;
  readonly isSandwich: boolean;
  readonly sharedRouter: boolean;
  readonly routerBias: boolean;
  /** For each layer, whether its MLP is a mixture of experts. */
  readonly expertLayers: readonly boolean[];
}

/** Reads and checks. Throws: `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`. */
export function readSizing(fields: FieldReader, table: FamilyTable): ModelSizing {
  refusePackedWeights(fields);
  for (const { key, value, absent } of table.requires) {
    const found = fields.raw[key] ?? absent;
    if (found !== value)
      throw fields.unsupported(
        key,
        `is ${JSON.stringify(found)}; the files of ${table.name} are known for ${JSON.stringify(value)}`,
      );
  }
  const layers = readSize(fields, table.sizes.layers);
  requireListable(fields, table.sizes.layers, layers);
  const experts = readExperts(fields, table, layers);
  const latent = table.latent === null ? null : readLatent(fields, table.latent);
  const hidden = readSize(fields, table.sizes.hidden);
  const sizes: LogicalSizes = {
    layers,
    hidden,
    ffn: readSize(fields, table.sizes.ffn),
    ...readHeads(fields, table, { hidden, latent }),
    vocab: readSize(fields, table.sizes.vocab),
    ...experts.sizes,
    tiedEmbeddings: readFlag(fields, table.tied),
    ...(latent === null ? {} : { latent }),
    ...readExtraLayers(fields, table),
  };
  return {
    sizes,
    biases: {
      qkv: readFlag(fields, table.biases.qkv),
      output: readFlag(fields, table.biases.output),
      mlp: readFlag(fields, table.biases.mlp),
    },
    qkNorm: readFlag(fields, table.qkNorm),
    isSandwich: table.norms === 'sandwich',
    sharedRouter: table.experts?.sharedRouter ?? false,
    routerBias: table.experts?.routerBias ?? false,
    expertLayers: experts.layers,
  };
}

/** Whether a condition of a table holds. */
export function readFlag(fields: FieldReader, rule: FlagRule): boolean {
  if (typeof rule === 'boolean') return rule;
  const stated = rule.keys.filter((key) => fields.has(key));
  const value = stated.length === 0 ? rule.absent : stated.some((key) => fields.flag(key, false));
  return rule.negated === true ? !value : value;
}

function refusePackedWeights(fields: FieldReader): void {
  const quantization = fields.object('quantization_config');
  if (quantization === null) return;
  const method = quantization.text('quant_method') ?? 'unknown';
  throw fields.unsupported(
    'quantization_config',
    `says the weights are stored quantized (${method})`,
    'Convert the unquantized checkpoint, or a GGUF file of the model.',
  );
}

function requireListable(fields: FieldReader, rule: SizeRule, count: number): void {
  if (count <= MAX_LAYER_EXPERTS) return;
  const key = rule.keys.find((candidate) => fields.has(candidate)) ?? rule.keys[0] ?? '';
  throw fields.invalid(key, `at most ${MAX_LAYER_EXPERTS} layers times experts`);
}

/** A stated size; null when the rule leaves the absence to the caller. */
function statedSize(fields: FieldReader, rule: SizeRule): number | null {
  if (rule.when !== undefined && !readFlag(fields, rule.when)) return null;
  const key = rule.keys.find((candidate) => fields.has(candidate));
  if (key === undefined) return null;
  const stated = fields.size(key);
  const times = rule.times ?? 1;
  if (stated % times !== 0) throw fields.invalid(key, `a multiple of ${times}`);
  return stated / times;
}

function readSize(fields: FieldReader, rule: SizeRule): number {
  const stated = statedSize(fields, rule);
  if (stated !== null) return stated;
  if (typeof rule.absent === 'number') return rule.absent;
  return fields.size(rule.keys[0] ?? '');
}

function readExtraLayers(
  fields: FieldReader,
  { extraLayersKey }: FamilyTable,
): Pick<LogicalSizes, 'extraLayers'> {
  const key = extraLayersKey ?? null;
  const extraLayers = readCount(fields, key, { absent: 0, max: MAX_SIZE_FIELD });
  return extraLayers === 0 ? {} : { extraLayers };
}

interface HeadInput {
  readonly hidden: number;
  readonly latent: LatentSizes | null;
}

function readHeads(
  fields: FieldReader,
  { sizes }: FamilyTable,
  { hidden, latent }: HeadInput,
): Pick<LogicalSizes, 'heads' | 'groups' | 'headDim'> {
  const heads = readSize(fields, sizes.heads);
  if (latent !== null) {
    return { heads, groups: heads, headDim: latent.plainHeadDim + latent.rotaryHeadDim };
  }
  const groupsKey = sizes.groups.keys[0] ?? '';
  // A stated null means one key head for each query head, whatever the family assumes for an absent key.
  const absentGroups =
    typeof sizes.groups.absent === 'number' && fields.raw[groupsKey] !== null
      ? sizes.groups.absent
      : heads;
  const groups = statedSize(fields, sizes.groups) ?? absentGroups;
  if (heads % groups !== 0) {
    throw fields.invalid(groupsKey, `a divisor of ${sizes.heads.keys[0]} (${heads})`);
  }
  const stated = statedSize(fields, sizes.headDim);
  if (stated !== null) return { heads, groups, headDim: stated };
  if (typeof sizes.headDim.absent === 'number') {
    return { heads, groups, headDim: sizes.headDim.absent };
  }
  if (hidden % heads !== 0) {
    throw fields.invalid(
      sizes.hidden.keys[0] ?? '',
      `a multiple of ${sizes.heads.keys[0]} (${heads}) where ${sizes.headDim.keys[0]} is not stated`,
    );
  }
  return { heads, groups, headDim: hidden / heads };
}

function readLatent(fields: FieldReader, rules: LatentRules): LatentSizes {
  const { key, absent } = rules.queryRank;
  return {
    queryRank: fields.raw[key] === null ? null : fields.sizeOr(key, absent),
    keyValueRank: readSize(fields, rules.keyValueRank),
    plainHeadDim: readSize(fields, rules.plainHeadDim),
    rotaryHeadDim: readSize(fields, rules.rotaryHeadDim),
    valueHeadDim: readSize(fields, rules.valueHeadDim),
  };
}

interface ExpertFacts {
  readonly sizes: Pick<LogicalSizes, 'experts' | 'expertFfn' | 'sharedFfn'>;
  readonly layers: readonly boolean[];
}

function readExperts(fields: FieldReader, table: FamilyTable, layers: number): ExpertFacts {
  const rules = table.experts;
  const dense: ExpertFacts = {
    sizes: { experts: 0, expertFfn: 0, sharedFfn: 0 },
    layers: Array.from({ length: layers }, () => false),
  };
  // Qwen's configurations state 0 experts for a dense model, DeepSeek's null.
  const countKey = rules?.count.keys.find((key) => fields.raw[key] !== undefined);
  const stated = countKey === undefined ? undefined : fields.raw[countKey];
  if (rules === null || stated === 0 || stated === null) return dense;
  const experts = readSize(fields, rules.count);
  requireListable(fields, rules.count, layers * experts);
  const chosen = statedSize(fields, rules.perToken);
  if (chosen !== null && chosen > experts) {
    throw fields.invalid(
      rules.perToken.keys[0] ?? '',
      `at most the number of experts (${experts})`,
    );
  }
  const expertFfn = readSize(fields, rules.ffn);
  return {
    sizes: { experts, expertFfn, sharedFfn: readSharedFfn(fields, rules, expertFfn) },
    layers: readExpertLayers(fields, rules.dense, layers),
  };
}

function readSharedFfn(fields: FieldReader, rules: ExpertRules, expertFfn: number): number {
  const { shared } = rules;
  if (shared === null) return 0;
  if ('ffn' in shared) {
    const key = shared.ffn.keys[0] ?? '';
    return fields.raw[key] === 0 ? 0 : readSize(fields, shared.ffn);
  }
  const stated = fields.raw[shared.countKey];
  if (stated === 0 || stated === null) return 0;
  return fields.sizeOr(shared.countKey, shared.absent) * expertFfn;
}

function readExpertLayers(
  fields: FieldReader,
  rules: ExpertRules['dense'],
  layers: number,
): readonly boolean[] {
  const first = readCount(fields, rules.firstKey, { absent: rules.firstAbsent, max: layers });
  const step = rules.stepKey === null ? 1 : fields.sizeOr(rules.stepKey, 1);
  const listed = readLayerList(fields, rules.listKey, layers);
  return Array.from(
    { length: layers },
    (_, layer) =>
      layer >= first && (layer + rules.stepFrom) % step === 0 && !listed.includes(layer),
  );
}

function readCount(
  fields: FieldReader,
  key: string | null,
  { absent, max }: { readonly absent: number; readonly max: number },
): number {
  if (key === null) return absent;
  const value = fields.raw[key] ?? absent;
  if (isIntegerWithin(value, 0, max)) return value;
  throw fields.invalid(key, `an integer from 0 to ${max}`);
}

function readLayerList(fields: FieldReader, key: string | null, layers: number): readonly number[] {
  const value = key === null ? [] : (fields.raw[key] ?? []);
  const isLayer = (item: unknown): item is number => isIntegerWithin(item, 0, layers - 1);
  if (Array.isArray(value) && value.every(isLayer)) return value;
  throw fields.invalid(key ?? '', `a list of layers from 0 to ${layers - 1}`);
}
