/**
 * What a conversion knows of a model family, as data: which keys of `config.json` state the sizes, which tensors
 * exist, and under which names and in which packing the files hold them.
 *
 * A family is one such table in one file; nothing else in conversions names a family. How to add one is told in the
 * README beside this file. The trainers' `Family` (see `family.ts`) is about computing, not about files.
 */
import type { TensorRole } from '../convert/logical-model.js';

/** A condition that the configuration decides: fixed, or true when one of the keys is. */
export type FlagRule =
  | boolean
  | { readonly keys: readonly string[]; readonly absent: boolean; readonly negated?: true };

/** A size that the configuration states. */
export interface SizeRule {
  /** Spellings, the first that is present counts; the first is named in messages. */
  readonly keys: readonly string[];
  /** Taken when no key is present: a number, another size, or nothing, which makes the absence an error. */
  readonly absent?: number | 'heads' | 'hidden/heads';
  /** The stated number is this many times the size (Qwen 1 states both halves of its gated MLP). */
  readonly times?: number;
  /** Keys count only when the flag is true; `absent` holds otherwise. */
  readonly when?: FlagRule;
}

/** Keys of the sizes that every decoder has. */
export interface SizeRules {
  readonly layers: SizeRule;
  readonly hidden: SizeRule;
  readonly ffn: SizeRule;
  readonly heads: SizeRule;
  readonly groups: SizeRule;
  readonly headDim: SizeRule;
  readonly vocab: SizeRule;
}

/** Numbers that shape no tensor but that other formats state. */
export interface NumberRules {
  readonly normEps: { readonly keys: readonly string[]; readonly absent: number };
  /** `timesKey`: ChatGLM states the factor on its base apart. */
  readonly ropeTheta: {
    readonly keys: readonly string[];
    readonly absent: number;
    readonly timesKey?: string;
  };
  readonly maxPositions: { readonly keys: readonly string[]; readonly absent: number };
}

/** Multi-head latent attention (DeepSeek): queries and keys/values go through low ranks. */
export interface LatentRules {
  /** Null in the configuration: queries are not compressed. */
  readonly queryRank: { readonly key: string; readonly absent: number };
  readonly keyValueRank: SizeRule;
  readonly plainHeadDim: SizeRule;
  readonly rotaryHeadDim: SizeRule;
  readonly valueHeadDim: SizeRule;
}

/** Mixture of experts. */
export interface ExpertRules {
  readonly count: SizeRule;
  /** Inner size of one expert. */
  readonly ffn: SizeRule;
  readonly perToken: SizeRule;
  /** The shared expert: its size is stated, or a number of experts is (absent or 0: none). */
  readonly shared:
    | { readonly ffn: SizeRule }
    | { readonly countKey: string; readonly absent: number }
    | null;
  /** Whether a [1, hidden] gate scales the shared expert. */
  readonly sharedRouter: boolean;
  /** Whether the router has a bias that corrects the choice of experts. */
  readonly routerBias: boolean;
  /**
   * Layers whose MLP stays dense: the first ones, all that are no multiple of a step (counted from `stepFrom`), and
   * listed ones. Null key: no such rule.
   */
  readonly dense: {
    readonly firstKey: string | null;
    readonly firstAbsent: number;
    readonly stepKey: string | null;
    readonly stepFrom: 0 | 1;
    readonly listKey: string | null;
  };
}

/** A stored tensor and what lies in it. */
export interface StoredRule {
  /**
   * Name in the files. `{layer}` and `{expert}` stand for numbers, `{part}` for `weight` or `bias`; a name without
   * `{part}` holds whichever part there is.
   */
  readonly name: string;
  /** Logical tensors in it, one below the other. */
  readonly roles: readonly TensorRole[];
  /**
   * `groups`: rows of q, k and v alternate by group of heads: the queries of the group, its key, its value.
   * `experts`: a third, first dimension counts the experts.
   */
  readonly pack?: 'groups' | 'experts';
}

/** How llama.cpp's files hold the family. */
export interface GgufRules {
  /** `general.architecture`. */
  readonly architecture: string;
  /** Rows of q and k are stored with rotary halves interleaved. */
  readonly permutesRotary: boolean;
  /** Added to every norm's weight (Gemma's files lack the one that its graph adds). */
  readonly normOffset?: 1;
  /** Tensors that stay packed there, and roles with other names than {@link GGUF_ROLE_NAMES}. */
  readonly packed?: readonly { readonly name: string; readonly roles: readonly TensorRole[] }[];
  readonly names?: Partial<Record<TensorRole, string>>;
}

/** How the layers compute, as far as other formats must state it. */
export interface ComputeFacts {
  readonly activation: 'silu' | 'gelu_tanh';
  /** Norms multiply by one plus the weight. */
  readonly normPlusOne: boolean;
  /** Rotary pairs: halves of a head (`half`) or neighbours (`neighbours`). */
  readonly rotary: 'half' | 'neighbours';
  /** Part of each head that is rotated: a key of the configuration, or fixed. */
  readonly rotaryShare: number | { readonly key: string; readonly absent: number };
}

/** A value that the configuration must have for this table to be true. */
export interface Requirement {
  readonly key: string;
  readonly value: boolean | string | number;
  /** What the library assumes when the key is absent. */
  readonly absent: boolean | string | number;
}

/** One family of models. */
export interface FamilyTable {
  /** Name in Tuneyard. */
  readonly name: string;
  /** Class names in `architectures`. */
  readonly architectures: readonly string[];
  /** Values of `model_type`, for configurations without `architectures`. */
  readonly modelTypes: readonly string[];
  readonly sizes: SizeRules;
  readonly numbers: NumberRules;
  readonly latent: LatentRules | null;
  readonly experts: ExpertRules | null;
  readonly biases: { readonly qkv: FlagRule; readonly output: FlagRule; readonly mlp: FlagRule };
  /** Norms over single query and key heads. */
  readonly qkNorm: FlagRule;
  /** `pre`: before attention and MLP; `sandwich`: also after each. */
  readonly norms: 'pre' | 'sandwich';
  readonly tied: FlagRule;
  readonly requires: readonly Requirement[];
  /** Files as they are published. */
  readonly stored: readonly StoredRule[];
  /** Files as transformers 5 keeps them in memory and may write them: experts in one tensor. */
  readonly fused?: readonly StoredRule[];
  /** Tensors that some files hold and that carry nothing. */
  readonly ignorable: readonly RegExp[];
  /** Key of the number of extra layers that predict further tokens; they are left out. */
  readonly extraLayersKey?: string;
  readonly computes: ComputeFacts;
  readonly gguf?: GgufRules;
}
