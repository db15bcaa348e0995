/** The storages that a pickle names, one node for each, checked for agreement. */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { storageElementBytes } from '../dtypes.js';
import type { TorchStorage, TorchValue } from '../value.js';

/** Collects storages by key, in the order in which they are first named. */
export class StorageTable {
  readonly byKey = new Map<string, TorchStorage>();
  readonly #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  /**
   * The storage that a persistent id names.
   *
   * Throws: `TORCH_PICKLE_BAD_PERSISTENT_ID` for anything but a storage, and when a storage is named twice differently.
   */
  fromPersistentId(id: TorchValue): TorchStorage {
    const storage = this.#parse(id);
    const known = this.byKey.get(storage.key);
    if (known === undefined) {
      this.byKey.set(storage.key, storage);
      return storage;
    }
    if (
      known.storageClass !== storage.storageClass ||
      known.numel !== storage.numel ||
      known.location !== storage.location
    ) {
      throw this.#bad(`storage ${quoteName(storage.key)} is named twice, in two ways`);
    }
    return known;
  }

  #parse(id: TorchValue): TorchStorage {
    if (id === null || typeof id !== 'object' || id.kind !== 'tuple') {
      throw this.#bad('a persistent id is not a tuple');
    }
    const [tag, storageClass, key, location, numel, view] = id.items;
    if (tag !== 'storage') {
      const what = typeof tag === 'string' ? quoteName(tag) : 'another thing';
      throw this.#bad(`a persistent id names ${what}, not a storage`);
    }
    const isNamed = typeof key === 'string' && typeof location === 'string';
    if (!isNamed || typeof numel !== 'number' || numel < 0) {
      throw this.#bad('a storage lacks its key, location or number of elements');
    }
    if (view !== undefined && view !== null) {
      throw this.#bad(`storage ${quoteName(key)} is a view of another, as torch 0.x wrote them`);
    }
    const type = this.#typeOf(storageClass, key);
    const byteLength = numel * type.elementBytes;
    if (!Number.isSafeInteger(byteLength)) {
      throw this.#bad(`storage ${quoteName(key)} of ${numel} elements is too large to address`);
    }
    const { module, name } = type;
    return { kind: 'storage', storageClass: name, module, key, location, numel, byteLength };
  }

  #typeOf(
    storageClass: TorchValue | undefined,
    key: string,
  ): { module: string; name: string; elementBytes: number } {
    if (
      storageClass !== null &&
      typeof storageClass === 'object' &&
      storageClass.kind === 'global'
    ) {
      const { module, name } = storageClass;
      const isTorch = module === 'torch' || module === 'torch.storage';
      const elementBytes = isTorch ? storageElementBytes(name) : null;
      if (elementBytes !== null) return { module, name, elementBytes };
      throw this.#bad(`storage ${quoteName(key)} has the unknown type ${quoteName(name)}`);
    }
    throw this.#bad(`storage ${quoteName(key)} lacks its type`);
  }

  #bad(message: string): TuneyardError {
    return new TuneyardError(
      TORCH_ERRORS.TORCH_PICKLE_BAD_PERSISTENT_ID,
      `${this.#where}: ${message}`,
    );
  }
}
