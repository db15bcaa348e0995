/**
 * Turns what a pickle would call into plain data: known classes into nodes of their own, all others into `object` nodes.
 */
import { TORCH_ERRORS } from '../../errors.js';
import { COPY_COST } from '../limits.js';
import type {
  TorchConstruction,
  TorchDict,
  TorchEntry,
  TorchGlobal,
  TorchNode,
  TorchObject,
  TorchValue,
} from '../value.js';
import type { PickleMachine } from './pickle-reader.js';
import { rebuildParameter, rebuildSubclass, rebuildTensor } from './rebuild-tensor.js';

/** What is constructed, and how. */
export interface Construction {
  readonly construction: TorchConstruction;
  readonly callable: TorchValue;
  readonly args: TorchValue;
  readonly kwargs?: TorchValue;
}

type Builder = (machine: PickleMachine, args: readonly TorchValue[]) => TorchValue | null;

/** Builders by full name; one that gives null leaves an `object` node. */
const BUILDERS: ReadonlyMap<string, Builder> = new Map<string, Builder>([
  ['collections.OrderedDict', buildOrderedDict],
  ['argparse.Namespace', (_, args) => buildNamespace('argparse.Namespace', args)],
  ['types.SimpleNamespace', (_, args) => buildNamespace('types.SimpleNamespace', args)],
  ['copyreg._reconstructor', buildReconstructed],
  ['_codecs.encode', buildEncoded],
  ['builtins.bytes', (_, args) => buildBytes('bytes', args)],
  ['builtins.bytearray', (_, args) => buildBytes('bytearray', args)],
  ['builtins.set', (machine, args) => buildSet(machine, 'set', args)],
  ['builtins.frozenset', (machine, args) => buildSet(machine, 'frozenset', args)],
  ['builtins.getattr', refuseGetattr],
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor_v3', rebuildTensor],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ['torch._tensor._rebuild_from_type_v2', rebuildSubclass],
]);

/** The value that a construction stands for. Throws: `TORCH_PICKLE_MALFORMED`, `TORCH_PICKLE_BAD_TENSOR`. */
export function construct(machine: PickleMachine, what: Construction): TorchValue {
  const { callable, args } = what;
  if (isGlobal(callable) && isNode(args) && args.kind === 'tuple') {
    const name = `${callable.module}.${callable.name}`;
    const built = BUILDERS.get(name)?.(machine, args.items) ?? null;
    if (built !== null) return built;
  }
  if (!isGlobal(callable)) {
    throw machine.cursor.error(
      TORCH_ERRORS.TORCH_PICKLE_FORBIDDEN_GLOBAL,
      'the pickle calls what another call gave, which no checkpoint needs and an attack does',
    );
  }
  const object: TorchObject = { kind: 'object', ...what };
  return object;
}

/** Gives a constructed value its state. Mutates: `target`. Throws: `TORCH_PICKLE_MALFORMED`. */
export function applyState(machine: PickleMachine, target: TorchValue, state: TorchValue): void {
  if (!isNode(target)) throw machine.malformed('a plain value is given a state');
  switch (target.kind) {
    case 'namespace': {
      const attributes = dictOfState(state);
      if (attributes === null) throw machine.malformed('a namespace has a state that is no dict');
      if (target.attributes.entries.length > 0) throw givenTwice(machine);
      target.attributes = attributes;
      return;
    }
    case 'dict':
      if (target.type === 'dict') throw machine.malformed('a dict is given a state');
      if (target.attributes !== undefined) throw givenTwice(machine);
      target.attributes = state;
      return;
    case 'object':
      if (target.state !== undefined) throw givenTwice(machine);
      target.state = state;
      return;
    default:
      throw machine.malformed(`a ${target.kind} is given a state`);
  }
}

/** Puts entries into a dictionary. Mutates: `target`. Throws: `TORCH_PICKLE_MALFORMED`. */
export function setItems(
  machine: PickleMachine,
  target: TorchValue,
  flat: readonly TorchValue[],
): void {
  if (flat.length % 2 !== 0) throw machine.malformed('a dict has a key without a value');
  const entries = entriesOf(target);
  if (entries === null) throw machine.malformed('entries are set on a value that is no dict');
  machine.stack.charge(flat.length);
  for (let i = 0; i < flat.length; i += 2) entries.push([flat[i] ?? null, flat[i + 1] ?? null]);
}

/** Appends items to a list. Mutates: `target`. Throws: `TORCH_PICKLE_MALFORMED`. */
export function appendItems(
  machine: PickleMachine,
  target: TorchValue,
  values: readonly TorchValue[],
): void {
  const items = itemsOf(target);
  if (items === null) throw machine.malformed('items are appended to a value that is no list');
  for (const value of values) items.push(value);
}

function entriesOf(target: TorchValue): TorchEntry[] | null {
  if (!isNode(target)) return null;
  if (target.kind === 'dict') return target.entries;
  if (target.kind !== 'object') return null;
  target.entries ??= [];
  return target.entries;
}

function itemsOf(target: TorchValue): TorchValue[] | null {
  if (!isNode(target)) return null;
  if (target.kind === 'list') return target.items;
  if (target.kind !== 'object') return null;
  target.items ??= [];
  return target.items;
}

function buildOrderedDict(machine: PickleMachine, args: readonly TorchValue[]): TorchDict | null {
  const [pairs] = args;
  if (pairs === undefined) return { kind: 'dict', type: 'OrderedDict', entries: [] };
  if (args.length > 1 || !isNode(pairs) || pairs.kind !== 'list') return null;
  machine.stack.charge(COPY_COST * pairs.items.length);
  const entries: TorchEntry[] = [];
  for (const pair of pairs.items) {
    if (!isNode(pair) || (pair.kind !== 'list' && pair.kind !== 'tuple')) return null;
    const [key, value] = pair.items;
    if (key === undefined || value === undefined || pair.items.length !== 2) return null;
    entries.push([key, value]);
  }
  return { kind: 'dict', type: 'OrderedDict', entries };
}

function buildNamespace(
  type: 'argparse.Namespace' | 'types.SimpleNamespace',
  args: readonly TorchValue[],
): TorchValue | null {
  if (args.length > 0) return null;
  return { kind: 'namespace', type, attributes: { kind: 'dict', type: 'dict', entries: [] } };
}

/** How protocols 0 and 1 make an instance of a plain class: `_reconstructor(cls, object, None)`. */
function buildReconstructed(
  machine: PickleMachine,
  args: readonly TorchValue[],
): TorchValue | null {
  const [callable, base, state] = args;
  if (callable === undefined || base === undefined || state !== null) return null;
  if (!isGlobal(callable) || !isGlobal(base)) return null;
  if (base.module !== 'builtins' || base.name !== 'object') return null;
  const none: TorchValue = { kind: 'tuple', items: [] };
  return construct(machine, { construction: 'newobj', callable, args: none });
}

/** How protocols below 3 write bytes: a string of which each character is a byte. */
function buildEncoded(machine: PickleMachine, args: readonly TorchValue[]): TorchValue | null {
  const [text, encoding] = args;
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) return null;
  machine.stack.charge(Math.ceil(text.length / 64));
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0xff) return null;
  }
  return { kind: 'bytes', type: 'bytes', value: Uint8Array.from(Buffer.from(text, 'latin1')) };
}

function buildBytes(type: 'bytes' | 'bytearray', args: readonly TorchValue[]): TorchValue | null {
  const [source] = args;
  if (source === undefined) return { kind: 'bytes', type, value: new Uint8Array(0) };
  if (args.length > 1 || !isNode(source) || source.kind !== 'bytes') return null;
  return { kind: 'bytes', type, value: source.value };
}

function buildSet(
  machine: PickleMachine,
  type: 'set' | 'frozenset',
  args: readonly TorchValue[],
): TorchValue | null {
  const [source] = args;
  if (source === undefined) return { kind: 'set', type, items: [] };
  if (args.length > 1 || !isNode(source) || source.kind !== 'list') return null;
  machine.stack.charge(COPY_COST * source.items.length);
  return { kind: 'set', type, items: [...source.items] };
}

/** Python 3.11 named enum members by `getattr(Class, 'MEMBER')`; any other use reaches for what must not be reached. */
function refuseGetattr(machine: PickleMachine, args: readonly TorchValue[]): null {
  const [owner, member] = args;
  const isMember = typeof member === 'string' && /^[A-Za-z][A-Za-z0-9_]*$/.test(member);
  if (args.length === 2 && owner !== undefined && isGlobal(owner) && isMember) {
    // The class must itself be one that may be named, and so must the member of it.
    machine.global(owner.module, `${owner.name}.${member}`);
    return null;
  }
  throw machine.cursor.error(
    TORCH_ERRORS.TORCH_PICKLE_FORBIDDEN_GLOBAL,
    'getattr is used for something other than a member of an enumeration',
  );
}

/** Attributes as pickled: a dict, or a pair of a dict and no slots. */
function dictOfState(state: TorchValue): TorchDict | null {
  if (!isNode(state)) return null;
  if (state.kind === 'dict') return state;
  if (state.kind !== 'tuple') return null;
  const [attributes, slots] = state.items;
  if (state.items.length !== 2 || slots !== null || attributes === undefined) return null;
  return isNode(attributes) && attributes.kind === 'dict' ? attributes : null;
}

function givenTwice(machine: PickleMachine): Error {
  return machine.malformed('a value is given a state twice');
}

function isNode(value: TorchValue): value is TorchNode {
  return typeof value === 'object' && value !== null;
}

function isGlobal(value: TorchValue): value is TorchGlobal {
  return isNode(value) && value.kind === 'global';
}
