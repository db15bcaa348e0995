/**
 * Finds and loads the prebuilt ggml libraries, binds the prototypes, and checks the layouts.
 *
 * The libraries come from the npm package `@node-llama-cpp/<platform>`: `libggml-base` plus one
 * `libggml-cpu-*` per CPU generation, of which the one with the best `ggml_backend_score` is taken. This
 * is the only module that opens a library. Struct layouts are those of ggml 0.23.0 on LP64/LLP64 and are
 * compared with what the library reports before anything is computed.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { GGML_TYPES, TuneyardError } from '@tuneyard/core';
import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi';
import { GGML_ERRORS } from '../errors.js';
import {
  BACKEND_NUMBER_FUNCTIONS,
  BACKEND_POINTER_FUNCTIONS,
  BACKEND_TEXT_FUNCTIONS,
  BACKEND_VOID_FUNCTIONS,
  CPU_FEATURES,
  CPU_POINTER_FUNCTIONS,
  CPU_VOID_FUNCTIONS,
} from './ggml-backend-h.js';
import {
  GGML_NUMBER_FUNCTIONS,
  GGML_POINTER_FUNCTIONS,
  GGML_TEXT_FUNCTIONS,
  GGML_VOID_FUNCTIONS,
} from './ggml-h.js';

/** The upstream version that every prototype and layout here was checked against. */
export const GGML_VERSION = '0.23.0';

/** What may be passed to a C function. */
export type RawArgument = bigint | number | boolean | string | null | NodeJS.TypedArray | object;

type Returning<R> = (...args: RawArgument[]) => R;
type Bound<T, R> = { readonly [K in keyof T]: Returning<R> };

/** Every bound function, by C name. */
export type RawGgml = Bound<typeof GGML_POINTER_FUNCTIONS, bigint> &
  Bound<typeof GGML_NUMBER_FUNCTIONS, number> &
  Bound<typeof GGML_VOID_FUNCTIONS, void> &
  Bound<typeof GGML_TEXT_FUNCTIONS, string> &
  Bound<typeof BACKEND_POINTER_FUNCTIONS, bigint | null> &
  Bound<typeof BACKEND_NUMBER_FUNCTIONS, number> &
  Bound<typeof BACKEND_VOID_FUNCTIONS, void> &
  Bound<typeof BACKEND_TEXT_FUNCTIONS, string> &
  Bound<typeof CPU_POINTER_FUNCTIONS, bigint> &
  Bound<typeof CPU_VOID_FUNCTIONS, void> & {
    /** `ggml_backend_graph_compute` on a thread of its own; resolves to ggml's status code. */
    readonly graphComputeAsync: (backend: bigint, graph: bigint) => Promise<number>;
    /** Reads `ne` of a tensor: four element counts, fastest axis first. */
    readonly tensorShape: (tensor: bigint) => readonly [number, number, number, number];
    /** Reads `nb` of a tensor: four strides in bytes. */
    readonly tensorStrides: (tensor: bigint) => readonly [number, number, number, number];
    /** Reads the numeric type code of a tensor. */
    readonly tensorTypeCode: (tensor: bigint) => number;
    /** Writes `data` of a tensor: a fake address that only planning passes may use. */
    readonly setTensorAddress: (tensor: bigint, address: bigint) => void;
    /** Dequantizes `elements` values from `src` into `dst` with the type's own `to_float`. */
    readonly toFloat: (typeCode: number, src: Uint8Array, dst: Float32Array) => boolean;
    /** The buffer type that holds repacked quantized weights, where this CPU variant has one. */
    readonly repackBufferType: () => bigint | null;
    readonly cpuFeatures: () => readonly string[];
    readonly directory: string;
    readonly cpuVariant: string;
    readonly version: string;
    /** Lines the library has logged so far, oldest first, bounded. */
    readonly log: readonly string[];
    /** The callback that collects them, for other libraries that log. */
    readonly logCallback: unknown;
  };

// Offsets inside `struct ggml_tensor` and `struct ggml_type_traits`, ggml 0.23.0.
const TENSOR_TYPE = 0n;
const TENSOR_NE = 16n;
const TENSOR_NB = 48n;
const TENSOR_DATA = 248n;
const TRAITS_TO_FLOAT = 40n;
const LOG_LINES_MAX = 50;

let loaded: RawGgml | undefined;

/**
 * Loads the libraries once per process and returns the bound functions.
 *
 * Throws: `GGML_LIBRARY_MISSING`, `GGML_VERSION_UNKNOWN`, `GGML_LAYOUT_MISMATCH`.
 */
export function loadGgml(): RawGgml {
  loaded ??= bindLibraries();
  return loaded;
}

/** Directory that holds the prebuilt libraries of this platform. Throws: `GGML_LIBRARY_MISSING`. */
export function libraryDirectory(): string {
  const arch = process.arch;
  const platform = {
    linux: `linux-${arch}`,
    darwin: arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64',
    win32: `win-${arch}`,
  }[process.platform as 'linux' | 'darwin' | 'win32'];
  const name = `@node-llama-cpp/${platform ?? process.platform}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const bins = join(dirname(entry), '..', 'bins');
    const folder = readdirSync(bins)[0];
    if (folder === undefined) throw new Error(`${bins} is empty`);
    return join(bins, folder);
  } catch (cause) {
    throw new TuneyardError(
      GGML_ERRORS.GGML_LIBRARY_MISSING,
      `No prebuilt ggml library for ${process.platform} ${arch}: the package ${name} is not installed`,
      {
        category: 'unavailable',
        hint: 'Run `npm install` without --omit=optional; supported are linux, macOS and Windows on x64 and arm64.',
        cause,
      },
    );
  }
}

/** File name of a shared library on this platform: `libggml-base.so`, `.dylib`, `ggml-base.dll`. */
export function sharedLibraryName(stem: string): string {
  if (process.platform === 'win32') return `${stem}.dll`;
  return `lib${stem}.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
}

function bindLibraries(): RawGgml {
  const directory = libraryDirectory();
  const base = koffi.load(join(directory, sharedLibraryName('ggml-base')), { global: true });
  const version = base.func('str ggml_version()')() as string;
  checkVersion(version);
  koffi.struct('ggml_init_params', { mem_size: 'size_t', mem_buffer: 'void*', no_alloc: 'bool' });
  const { library: cpu, variant } = loadBestCpu(directory);
  const functions: Record<string, unknown> = {};
  const bind = (library: LibraryHandle, returns: string, table: Record<string, string>): void => {
    for (const [name, parameters] of Object.entries(table)) {
      functions[name] = library.func(`${returns} ${name}(${parameters})`);
    }
  };
  bind(base, 'void*', GGML_POINTER_FUNCTIONS);
  bind(base, 'void', GGML_VOID_FUNCTIONS);
  bind(base, 'str', GGML_TEXT_FUNCTIONS);
  bind(base, 'void*', BACKEND_POINTER_FUNCTIONS);
  bind(base, 'void', BACKEND_VOID_FUNCTIONS);
  bind(base, 'str', BACKEND_TEXT_FUNCTIONS);
  bind(cpu, 'void*', CPU_POINTER_FUNCTIONS);
  bind(cpu, 'void', CPU_VOID_FUNCTIONS);
  for (const [name, [returns, parameters]] of Object.entries({
    ...GGML_NUMBER_FUNCTIONS,
    ...BACKEND_NUMBER_FUNCTIONS,
  })) {
    functions[name] = base.func(`${returns} ${name}(${parameters})`);
  }
  const { lines, callback } = captureLog(base);
  const raw = {
    ...functions,
    ...memoryReaders(functions as RawGgml, cpu),
    directory,
    cpuVariant: variant,
    version,
    log: lines,
    logCallback: callback,
  } as unknown as RawGgml;
  checkLayouts(raw);
  return raw;
}

function checkVersion(version: string): void {
  if (version === GGML_VERSION) return;
  throw new TuneyardError(
    GGML_ERRORS.GGML_VERSION_UNKNOWN,
    `The installed ggml library is version ${version}; this build was checked against ${GGML_VERSION} only`,
    { category: 'unavailable', hint: 'Run `npm ci` to install the pinned version.' },
  );
}

function loadBestCpu(directory: string): { library: LibraryHandle; variant: string } {
  const pattern = /^(?:lib)?ggml-cpu(?:-(.+))?\.(?:so|dylib|dll)$/;
  let best: { file: string; variant: string; score: number } | undefined;
  for (const file of readdirSync(directory)) {
    const match = pattern.exec(file);
    if (match === null) continue;
    const library = koffi.load(join(directory, file));
    const score = library.func('int ggml_backend_score()')() as number;
    if (score > (best?.score ?? 0)) best = { file, variant: match[1] ?? 'default', score };
  }
  if (best === undefined) {
    throw new TuneyardError(
      GGML_ERRORS.GGML_LIBRARY_MISSING,
      `No CPU library in ${directory} runs on this processor`,
      { category: 'unavailable' },
    );
  }
  return {
    library: koffi.load(join(directory, best.file), { global: true }),
    variant: best.variant,
  };
}

/** Keeps the library's log lines instead of letting it write to stderr. */
function captureLog(base: LibraryHandle): { lines: readonly string[]; callback: unknown } {
  const lines: string[] = [];
  const proto = koffi.proto('void tuneyard_ggml_log(int level, str text, void* user_data)');
  const callback = koffi.register((_level: number, text: string) => {
    lines.push(text.trimEnd());
    if (lines.length > LOG_LINES_MAX) lines.shift();
  }, koffi.pointer(proto));
  base.func('void ggml_log_set(tuneyard_ggml_log* callback, void* user_data)')(callback, null);
  return { lines, callback };
}

function memoryReaders(raw: RawGgml, cpu: LibraryHandle): object {
  const four = (tensor: bigint, offset: bigint): number[] =>
    Array.from(koffi.decode(tensor + offset, 'int64_t', 4) as ArrayLike<number | bigint>, Number);
  const toFloatProto = koffi.proto(
    'void tuneyard_to_float(const void* src, _Out_ float* dst, int64_t k)',
  );
  const getBufferTypes = koffi.proto('void* tuneyard_get_extra_bufts(void* dev)');
  const compute = (raw.ggml_backend_graph_compute as unknown as KoffiFunc<Returning<number>>).async;
  return {
    graphComputeAsync: (backend: bigint, graph: bigint) =>
      new Promise<number>((resolve, reject) => {
        compute(backend, graph, (error: unknown, status: number) =>
          error ? reject(error as Error) : resolve(status),
        );
      }),
    tensorShape: (tensor: bigint) => four(tensor, TENSOR_NE),
    tensorStrides: (tensor: bigint) => four(tensor, TENSOR_NB),
    tensorTypeCode: (tensor: bigint) => koffi.decode(tensor + TENSOR_TYPE, 'int') as number,
    setTensorAddress: (tensor: bigint, address: bigint) =>
      koffi.encode(tensor + TENSOR_DATA, 'uint64_t', address),
    toFloat: (typeCode: number, src: Uint8Array, dst: Float32Array) => {
      const traits = raw.ggml_get_type_traits(typeCode);
      const pointer = koffi.decode(traits + TRAITS_TO_FLOAT, 'void*') as bigint | null;
      if (pointer === null) return false;
      koffi.call(pointer, toFloatProto, src, dst, dst.length);
      return true;
    },
    repackBufferType: () => {
      const registry = raw.ggml_backend_cpu_reg();
      const device = raw.ggml_backend_reg_dev_get(registry, 0);
      const get = raw.ggml_backend_reg_get_proc_address(
        registry,
        'ggml_backend_dev_get_extra_bufts',
      );
      if (get === null || device === null) return null;
      const list = koffi.call(get, getBufferTypes, device) as bigint | null;
      return findRepack(raw, list);
    },
    cpuFeatures: () =>
      CPU_FEATURES.filter((name) => (cpu.func(`int ggml_cpu_has_${name}()`)() as number) === 1),
  };
}

/** Walks a null-terminated list of buffer types for the one named CPU_REPACK. */
function findRepack(raw: RawGgml, list: bigint | null): bigint | null {
  if (list === null) return null;
  for (let i = 0n; i < 8n; i++) {
    const bufferType = koffi.decode(list + i * 8n, 'void*') as bigint | null;
    if (bufferType === null) return null;
    if (raw.ggml_backend_buft_name(bufferType) === 'CPU_REPACK') return bufferType;
  }
  return null;
}

function checkLayouts(raw: RawGgml): void {
  const fail = (what: string, found: number, expected: number): never => {
    throw new TuneyardError(
      GGML_ERRORS.GGML_LAYOUT_MISMATCH,
      `ggml ${raw.version}: ${what} is ${found}, expected ${expected}`,
      { category: 'internal' },
    );
  };
  const overhead = raw.ggml_tensor_overhead();
  if (overhead !== 368) fail('the size of a tensor object', overhead, 368);
  for (const [name, type] of Object.entries(GGML_TYPES)) {
    const bytes = raw.ggml_type_size(type.code);
    if (bytes !== type.blockBytes) fail(`the block size of ${name}`, bytes, type.blockBytes);
    const elements = Number(raw.ggml_blck_size(type.code));
    if (elements !== type.blockElements)
      fail(`the block length of ${name}`, elements, type.blockElements);
  }
  const context = raw.ggml_init({ mem_size: 4096, mem_buffer: null, no_alloc: true });
  const tensor = raw.ggml_new_tensor_4d(context, GGML_TYPES.i32.code, 2, 3, 5, 7);
  const shape = raw.tensorShape(tensor);
  if (shape.join() !== '2,3,5,7') fail('the first axis of a probe tensor', shape[0], 2);
  const strides = raw.tensorStrides(tensor);
  if (strides.join() !== '4,8,24,120') fail('the last stride of a probe tensor', strides[3], 120);
  const code = raw.tensorTypeCode(tensor);
  if (code !== GGML_TYPES.i32.code) fail('the type of a probe tensor', code, GGML_TYPES.i32.code);
  raw.ggml_free(context);
}
