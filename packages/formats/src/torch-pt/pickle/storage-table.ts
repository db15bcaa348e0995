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
    if (storageClass === null || typeof storageClass !== 'object') throw this.#badFields();
    if (storageClass.kind !== 'global') throw this.#badFields();
    if (typeof key !== 'string' || typeof location !== 'string') throw this.#badFields();
    if (typeof numel !== 'number' || numel < 0) throw this.#badFields();
    if (view !== undefined && view !== null) {
      throw this.#bad(`storage ${quoteName(key)} is a view of another, as torch 0.x wrote them`);
    }
    const { module, name } = storageClass;
    const elementBytes =
      module === 'torch' || module === 'torch.storage' ? storageElementBytes(name) : null;
    if (elementBytes === null) {
      throw this.#bad(`storage ${quoteName(key)} has the unknown type ${quoteName(name)}`);
    }
    const byteLength = numel * elementBytes;
    if (!Number.isSafeInteger(byteLength)) {
      throw this.#bad(`storage ${quoteName(key)} of ${numel} elements is too large to address`);
    }
    return { kind: 'storage', storageClass: name, module, key, location, numel, byteLength };
  }

  #badFields(): TuneyardError {
    return this.#bad('a storage lacks its type, key, location or number of elements');
  }

  #bad(message: string): TuneyardError {
    return new TuneyardError(
      TORCH_ERRORS.TORCH_PICKLE_BAD_PERSISTENT_ID,
      `${this.#where}: ${message}`,
    );
  }
}
