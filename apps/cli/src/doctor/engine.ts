/** Checks that the native library loads and computes on this machine. */
import type { BackendFacts } from '@tuneyard/ggml';
import { type ErrorReport, reportError } from '../terminal/error-report.js';

/** Whether the engine works, or why it does not. */
export type EngineCheck =
  | {
      readonly isWorking: true;
      readonly backends: BackendFacts;
      /** Weight types that this processor multiplies in a layout made for it. */
      readonly repackableTypes: readonly string[];
    }
  | { readonly isWorking: false; readonly error: ErrorReport };

/** Loads the library and sends a few numbers through a quantized type and back. */
export async function checkEngine(): Promise<EngineCheck> {
  try {
    const { ggmlCodec, probeBackends, repackableTypes } = await import('@tuneyard/ggml');
    const values = Float32Array.from({ length: 32 }, (_, i) => i / 31);
    const back = ggmlCodec.toF32('q8_0', ggmlCodec.fromF32('q8_0', values, 32), 32);
    const isClose = back.every((value, i) => Math.abs(value - (values[i] ?? 0)) < 0.01);
    if (!isClose) throw new Error('the library computes wrong numbers on this processor');
    const backends = probeBackends();
    return { isWorking: true, backends, repackableTypes: [...repackableTypes()] };
  } catch (error) {
    return { isWorking: false, error: reportError(error) };
  }
}
