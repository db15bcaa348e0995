/** Why a stage has to run: what differs from the last time that the same recipe made it. */
import type { JsonValue } from '@tuneyard/core';
import type { ArtifactManifest } from '../artifacts/manifest.js';
import type { StageInput } from './run-plan.js';

/** What is known about a stage that has no artifact. */
export interface StageNow {
  readonly fingerprint: string;
  readonly version: number;
  readonly parameters: { readonly [key: string]: JsonValue };
  readonly inputs: { readonly [role: string]: StageInput };
}

/** Differences that a reason names before it counts the rest. */
const NAMED_MAX = 3;

/** One line: `changed: train.learning_rate 1e-4 → 2e-4`. `last` is null when there never was one. */
export function explainChange(stage: StageNow, last: ArtifactManifest | null): string {
  if (last === null) return 'not made yet';
  if (last.fingerprint === stage.fingerprint) return 'its artifact is damaged';
  const changes = [
    ...parameterChanges(last.parameters, stage.parameters),
    ...inputChanges(last.parents, stage.inputs),
  ];
  if (last.stageVersion !== stage.version) {
    changes.push(`code of the stage, version ${last.stageVersion} → ${stage.version}`);
  }
  const named = changes.slice(0, NAMED_MAX).join(', ');
  const rest = changes.length > NAMED_MAX ? ` and ${changes.length - NAMED_MAX} more` : '';
  return `changed: ${named}${rest}`;
}

function parameterChanges(
  before: { readonly [key: string]: JsonValue },
  after: { readonly [key: string]: JsonValue },
): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => `${key} ${shown(before[key])} → ${shown(after[key])}`);
}

function inputChanges(
  before: ArtifactManifest['parents'],
  after: { readonly [role: string]: StageInput },
): string[] {
  const old = new Map(before.map((parent) => [parent.role, parent.fingerprint]));
  const changes: string[] = [];
  for (const [role, input] of Object.entries(after)) {
    if (old.get(role) === input.fingerprint) continue;
    changes.push(
      input.from === 'stage' ? `result of ${input.stageId}` : `content of ${input.path}`,
    );
  }
  const gone = [...old.keys()].filter((role) => after[role] === undefined);
  return [...changes, ...gone.map((role) => `${role} no longer used`)];
}

/** A value as a person would write it in the recipe. */
function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'not set';
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-2) {
    return value.toExponential();
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
