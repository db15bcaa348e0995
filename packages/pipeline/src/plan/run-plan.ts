/** The plan of a run: ordered stages, each with its fingerprint and what will happen to it. */
import type { Workspace } from '../artifacts/workspace.js';
import type { Facts } from '../executor/run-event.js';
import type { Recipe } from '../recipe/recipe.js';

/** What a stage does; one function per kind. */
export type StageKind =
  | 'preprocess'
  | 'convert'
  | 'train'
  | 'evaluate'
  | 'merge'
  | 'export-peft'
  | 'export-gguf'
  | 'report';

/** Where an input of a stage comes from. */
export type StageInput =
  | { readonly from: 'stage'; readonly stageId: string; readonly fingerprint: string }
  | { readonly from: 'path'; readonly path: string; readonly fingerprint: string };

/** What happens to a stage: taken from the workspace, run, or gone on with after an interruption. */
export type StageStatus = 'reuse' | 'run' | 'resume';

/** One stage as it will run. */
export interface PlannedStage {
  /** Unique in the plan: `preprocess-train`, `evaluate-before`, `export-gguf-q8_0`. */
  readonly id: string;
  readonly kind: StageKind;
  /** For people: `Train LoRA adapter`. */
  readonly title: string;
  /** Version of the stage's code; part of the fingerprint. */
  readonly version: number;
  /** 64 hex digits. */
  readonly fingerprint: string;
  /** Inputs by role: `model`, `tokenizer`, `train`, `validation`, `adapter`. */
  readonly inputs: { readonly [role: string]: StageInput };
  /** What matters to the output, under recipe names: `train.learning_rate`. */
  readonly parameters: Facts;
  /** What does not matter to the output: paths, threads, how often to log. */
  readonly settings: Facts;
  readonly status: StageStatus;
  /** For people: `unchanged since 2026-11-25 10:00`, `changed: train.learning_rate 1e-4 → 2e-4`. */
  readonly reason: string;
  /** Kind directory of the artifact under `artifacts/`; null for the report, which is no artifact. */
  readonly artifactKind: string | null;
  /** Directory where the artifact is, or will be; null for the report. */
  readonly artifactPath: string | null;
}

/** A recipe turned into stages, ready for {@link executeRun}. */
export interface RunPlan {
  readonly recipe: Recipe;
  readonly workspace: Workspace;
  readonly stages: readonly PlannedStage[];
}
