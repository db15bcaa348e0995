/** What the installed ggml library can compute with on this machine, for `doctor` and plans. */
import { createRequire } from 'node:module';
import { loadGgml } from './raw/load.js';

/** The library, the CPU variant in use, and sibling packages for accelerators. */
export interface BackendFacts {
  readonly version: string;
  /** CPU generation of the loaded variant: `zen4`, `haswell`; `default` where there is one only. */
  readonly cpuVariant: string;
  /** Instruction sets that the variant uses, as ggml names them. */
  readonly cpuFeatures: readonly string[];
  /** Accelerator packages that are installed; training on them is not supported yet. */
  readonly acceleratorPackages: readonly string[];
}

const ACCELERATORS = ['cuda', 'cuda-ext', 'vulkan', 'metal'] as const;

/** Loads the library and reports. Throws: as loading does (`GGML_LIBRARY_MISSING`, …). */
export function probeBackends(): BackendFacts {
  const raw = loadGgml();
  const system = { darwin: 'mac', win32: 'win' }[process.platform as string] ?? process.platform;
  return {
    version: raw.version,
    cpuVariant: raw.cpuVariant,
    cpuFeatures: raw.cpuFeatures(),
    acceleratorPackages: ACCELERATORS.map(
      (name) => `@node-llama-cpp/${system}-${process.arch}-${name}`,
    ).filter(isInstalled),
  };
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false; // Optional packages are absent on most machines.
  }
}
