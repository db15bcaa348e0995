/**
 * The few functions of llama.h that check an exported model, from the libllama that ships with ggml 0.23.0.
 *
 * Option structs travel by value as opaque bytes that the library's own default functions fill; the fields
 * changed here are found by offset, and the defaults at those offsets are compared before use.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { assert, defined, TuneyardError } from '@tuneyard/core';
import koffi from 'koffi';
import { GGML_ERRORS } from '../errors.js';
import { loadGgml, type RawArgument } from './load.js';

/** Prototypes of llama.h by C name: return type and parameter list. */
const LLAMA_FUNCTIONS = {
  llama_backend_init: ['void', ''],
  llama_model_default_params: ['tuneyard_options', ''],
  llama_context_default_params: ['tuneyard_options', ''],
  llama_model_load_from_file: ['void*', 'str path, tuneyard_options params'],
  llama_model_free: ['void', 'void* model'],
  llama_model_get_vocab: ['void*', 'void* model'],
  llama_vocab_n_tokens: ['int32_t', 'void* vocab'],
  llama_init_from_model: ['void*', 'void* model, tuneyard_options params'],
  llama_free: ['void', 'void* ctx'],
  llama_batch_get_one: ['tuneyard_llama_batch', 'int32_t* tokens, int32_t n_tokens'],
  llama_decode: ['int32_t', 'void* ctx, tuneyard_llama_batch batch'],
  llama_get_logits_ith: ['void*', 'void* ctx, int32_t i'],
  llama_tokenize: [
    'int32_t',
    'void* vocab, str text, int32_t text_len, _Out_ int32_t* tokens, int32_t n_tokens_max, bool add_special, bool parse_special',
  ],
} as const;

/** Bound functions of llama.h. */
export type RawLlama = {
  readonly [K in keyof typeof LLAMA_FUNCTIONS]: (...args: RawArgument[]) => unknown;
} & {
  readonly decodeAsync: (ctx: bigint, batch: unknown) => Promise<number>;
  readonly readFloats: (pointer: bigint, count: number) => Float32Array;
  /** Context options for exact comparison: f32 cache, no flash attention. */
  readonly contextOptions: (options: { contextLength: number; threads: number }) => object;
  readonly modelOptions: () => object;
};

interface OptionBytes {
  b: number[] | Uint8Array;
}

// Offsets in `struct llama_context_params` and the defaults expected there.
const CONTEXT_FIELDS = {
  contextLength: { offset: 0, expected: 512 },
  batch: { offset: 4, expected: 2048 },
  microBatch: { offset: 8, expected: 512 },
  threads: { offset: 28, expected: 4 },
  threadsBatch: { offset: 32, expected: 4 },
  flashAttention: { offset: 52, expected: -1 },
  typeKeys: { offset: 104, expected: 1 },
  typeValues: { offset: 108, expected: 1 },
} as const;

let loaded: RawLlama | undefined;

/** Loads libllama once. Throws: `GGML_LIBRARY_MISSING`, `GGML_LAYOUT_MISMATCH`. */
export function loadLlama(): RawLlama {
  loaded ??= bindLlama();
  return loaded;
}

function bindLlama(): RawLlama {
  const { directory, logCallback } = loadGgml();
  const file = (pattern: RegExp): string => {
    const name = readdirSync(directory).find((f) => pattern.test(f));
    if (name !== undefined) return join(directory, name);
    throw new TuneyardError(GGML_ERRORS.GGML_LIBRARY_MISSING, `No llama library in ${directory}`, {
      category: 'unavailable',
    });
  };
  const ggml = koffi.load(file(/^(lib)?ggml(\.v[\d.]+)?\.(so|dylib|dll)$/), { global: true });
  const llama = koffi.load(file(/^(lib)?llama(\.v[\d.]+)?\.(so|dylib|dll)$/), { global: true });
  llama.func('void llama_log_set(tuneyard_ggml_log* callback, void* user_data)')(logCallback, null);
  ggml.func('void ggml_backend_load_all_from_path(str directory)')(directory);
  koffi.struct('tuneyard_options', { b: koffi.array('uint8_t', 512) });
  koffi.struct('tuneyard_llama_batch', {
    n_tokens: 'int32_t',
    token: 'void*',
    embd: 'void*',
    pos: 'void*',
    n_seq_id: 'void*',
    seq_id: 'void*',
    logits: 'void*',
  });
  const functions = Object.fromEntries(
    Object.entries(LLAMA_FUNCTIONS).map(([name, [returns, parameters]]) => [
      name,
      llama.func(`${returns} ${name}(${parameters})`),
    ]),
  ) as unknown as RawLlama;
  functions.llama_backend_init();
  const decode = (functions.llama_decode as unknown as { async: (...args: unknown[]) => void })
    .async;
  return {
    ...functions,
    decodeAsync: (ctx, batch) =>
      new Promise((resolve, reject) => {
        decode(ctx, batch, (error: unknown, status: number) =>
          error ? reject(error as Error) : resolve(status),
        );
      }),
    readFloats: (pointer, count) =>
      Float32Array.from(koffi.decode(pointer, 'float', count) as ArrayLike<number>),
    modelOptions: () => functions.llama_model_default_params() as object,
    contextOptions: (options) =>
      contextOptions(functions.llama_context_default_params() as OptionBytes, options),
  };
}

function contextOptions(
  defaults: OptionBytes,
  { contextLength, threads }: { contextLength: number; threads: number },
): OptionBytes {
  const bytes = Uint8Array.from(defaults.b);
  const view = new DataView(bytes.buffer);
  for (const [name, { offset, expected }] of Object.entries(CONTEXT_FIELDS)) {
    const found = view.getInt32(offset, true);
    if (found === expected) continue;
    throw new TuneyardError(
      GGML_ERRORS.GGML_LAYOUT_MISMATCH,
      `llama_context_params: the default of ${name} is ${found} at offset ${offset}, expected ${expected}`,
      { category: 'internal' },
    );
  }
  const set = (field: keyof typeof CONTEXT_FIELDS, value: number): void =>
    view.setInt32(CONTEXT_FIELDS[field].offset, value, true);
  set('contextLength', contextLength);
  set('batch', contextLength);
  set('microBatch', contextLength);
  set('threads', threads);
  set('threadsBatch', threads);
  set('flashAttention', 0);
  set('typeKeys', 0);
  set('typeValues', 0);
  return { b: bytes };
}

/** Pins token ids where native code can read them during an asynchronous call. */
export function pinTokens(ids: readonly number[]): bigint {
  assert(ids.length > 0, 'at least one token');
  const pinned = koffi.alloc('int32_t', ids.length) as unknown;
  koffi.encode(pinned as bigint, 'int32_t', [...ids], ids.length);
  return defined(pinned as bigint | null, 'token memory');
}

/** Frees what {@link pinTokens} has pinned. */
export function freeTokens(pointer: bigint): void {
  koffi.free(pointer);
}
