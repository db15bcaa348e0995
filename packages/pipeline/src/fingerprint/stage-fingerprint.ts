/** The fingerprint of a stage: what decides its output, and nothing else. */
import type { Facts } from '../executor/run-event.js';
import { hashOf } from './canonical-json.js';

/** Everything that a stage's output depends on. */
export interface FingerprintParts {
  readonly kind: string;
  /** Version of the stage's code; raised when the same input gives another output. */
  readonly version: number;
  readonly parameters: Facts;
  /** Fingerprints of the inputs by role. */
  readonly inputs: { readonly [role: string]: string };
}

/** Digits of a fingerprint that stand in directory names. */
export const SHORT_FINGERPRINT = 12;

/** 64 hex digits. Independent of names, paths, machine and time. */
export function stageFingerprint(parts: FingerprintParts): string {
  return hashOf({
    inputs: parts.inputs,
    parameters: parts.parameters,
    stage: parts.kind,
    version: parts.version,
  });
}
