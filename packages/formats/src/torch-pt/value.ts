/**
 * What a torch archive holds, as plain data: the object that a pickle describes, without any class of Python.
 *
 * Integers are numbers where they are exact and bigints beyond; floats are marked, because Python tells 3 from 3.0.
 * Objects that several places share are one object here too. Nothing in these types can be executed; objects of
 * classes that this package does not know stay `object` nodes, and a writer puts them back as they were.
 */

/** A value of Python. */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | TorchFloat
  | TorchBytes
  | TorchList
  | TorchTuple
  | TorchSet
  | TorchDict
  | TorchNamespace
  | TorchGlobal
  | TorchObject
  | TorchStorage
  | TorchTensorValue
  | TorchParameter;

/** A value that is an object in JavaScript. */
export type TorchNode = Extract<TorchValue, object>;

/** A float; writers take a plain number with a fraction for one as well. */
export interface TorchFloat {
  readonly kind: 'float';
  readonly value: number;
}

/** `bytes` or `bytearray`. */
export interface TorchBytes {
  readonly kind: 'bytes';
  readonly type: 'bytes' | 'bytearray';
  readonly value: Uint8Array;
}

/** A `list`. */
export interface TorchList {
  readonly kind: 'list';
  readonly items: TorchValue[];
}

/** A `tuple`. */
export interface TorchTuple {
  readonly kind: 'tuple';
  readonly items: readonly TorchValue[];
}

/** A `set` or `frozenset`. */
export interface TorchSet {
  readonly kind: 'set';
  readonly type: 'set' | 'frozenset';
  readonly items: TorchValue[];
}

/** Key and value of a dictionary. */
export type TorchEntry = readonly [key: TorchValue, value: TorchValue];

/** A `dict` or `collections.OrderedDict`, entries in order; keys may be of any type. */
export interface TorchDict {
  readonly kind: 'dict';
  readonly type: 'dict' | 'OrderedDict';
  readonly entries: TorchEntry[];
  /** Attributes of an OrderedDict, as the `_metadata` of a state dict. */
  attributes?: TorchValue;
}

/** An `argparse.Namespace` or `types.SimpleNamespace`. */
export interface TorchNamespace {
  readonly kind: 'namespace';
  readonly type: 'argparse.Namespace' | 'types.SimpleNamespace';
  /** Attribute names and values in order. */
  attributes: TorchDict;
}

/** A class, function or constant by name; element types of torch are of this kind (`torch`, `bfloat16`). */
export interface TorchGlobal {
  readonly kind: 'global';
  readonly module: string;
  readonly name: string;
}

/** How a pickle makes an object: by calling, or by `__new__` without or with keywords. */
export type TorchConstruction = 'reduce' | 'newobj' | 'newobj_ex';

/** An object of any other class: what its pickle says, uninterpreted. Enum members and numpy values are of this kind. */
export interface TorchObject {
  readonly kind: 'object';
  readonly construction: TorchConstruction;
  /** The class or function; a {@link TorchGlobal} but for odd pickles. */
  readonly callable: TorchValue;
  readonly args: TorchValue;
  /** Keyword arguments of `newobj_ex`. */
  readonly kwargs?: TorchValue;
  /** Items appended after construction, as a subclass of list has. */
  items?: TorchValue[];
  /** Entries set after construction, as a subclass of dict has. */
  entries?: TorchEntry[];
  /** Argument of `__setstate__`, or attributes. */
  state?: TorchValue;
}

/** The bytes that tensors are views of; one object per storage of a file. */
export interface TorchStorage {
  readonly kind: 'storage';
  /** Class name without module: `BFloat16Storage`, `UntypedStorage`. */
  readonly storageClass: string;
  /** Module of the class; `torch`, or `torch.storage`. */
  readonly module: string;
  /** Name in its archive; writers number storages anew. */
  readonly key: string;
  /** Device, as `cpu` or `cuda:0`. */
  readonly location: string;
  /** Elements; bytes for an untyped storage. */
  readonly numel: number;
  readonly byteLength: number;
}

/** A tensor: a strided view of a storage. Counts are in elements. */
export interface TorchTensorValue {
  readonly kind: 'tensor';
  readonly storage: TorchStorage;
  /** Name of the element type as torch spells it, without `torch.`. */
  readonly dtype: string;
  readonly storageOffset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly requiresGrad: boolean;
  /** Hooks, an empty OrderedDict in practice. */
  readonly hooks: TorchValue;
  /** Marks such as conjugation; seldom present. Bytes are given as stored, without what a mark asks for. */
  readonly metadata?: TorchValue;
  /** Class and attributes of a tensor that is more than a plain one. */
  readonly subclass?: { readonly type: TorchValue; readonly state: TorchValue };
}

/** A `torch.nn.Parameter` around a tensor. */
export interface TorchParameter {
  readonly kind: 'parameter';
  readonly data: TorchTensorValue;
  readonly requiresGrad: boolean;
  readonly hooks: TorchValue;
  /** Attributes that were set on the parameter. */
  readonly state?: TorchValue;
}
