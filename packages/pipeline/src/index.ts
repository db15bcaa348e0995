/**
 * Recipe → plan of stages → artifacts.
 *
 * ```ts
 * const { recipe, notes } = await loadRecipe(file, { workingDir: process.cwd() });
 * const workspace = await openWorkspace('.tuneyard');
 * const plan = await planRun(recipe, workspace, { signal });      // prints: what runs, what is reused, why
 * const outcome = await executeRun(plan, { signal, onEvent });    // never throws for a failing stage
 * if (outcome.error !== null) throw outcome.error;
 * ```
 */
export {
  type Artifact,
  type ArtifactManifest,
  MANIFEST_FILE,
  readManifest,
} from './artifacts/manifest.js';
export {
  findArtifact,
  listArtifacts,
  type OpenOptions,
  openArtifact,
  resolveArtifact,
} from './artifacts/open-artifact.js';
export { openWorkspace, type Workspace, workspaceAt } from './artifacts/workspace.js';
export { PIPELINE_ERRORS } from './errors.js';
export { type ExecuteOptions, executeRun, type RunOutcome } from './executor/execute-run.js';
export type {
  Facts,
  LogLevel,
  PlanFact,
  RunEvent,
  StageEvent,
} from './executor/run-event.js';
export { listRuns, RUN_FILES, type RunSummary, readRunEvents } from './executor/run-record.js';
export { planRun } from './plan/plan-run.js';
export type { PlannedStage, RunPlan, StageInput, StageKind, StageStatus } from './plan/run-plan.js';
export {
  type ImportNote,
  type ImportOptions,
  importLlamaFactory,
  isLlamaFactory,
} from './recipe/import-llama-factory.js';
export { formatRecipe, type LoadedRecipe, loadRecipe, parseRecipe } from './recipe/read-recipe.js';
export { GGUF_EXPORT_TYPES, type Recipe, resolveRecipePath } from './recipe/recipe.js';
export { renderReport } from './report/render-report.js';
export type { ReportCommand, ReportData } from './report/report-data.js';
export { useCommands } from './report/use-commands.js';
export type { StageFunction, StageIo, StageJob, StageTable } from './stages/stage.js';
export {
  EVALUATION_FILE,
  type EvaluateMetrics,
  HISTORY_FILE,
  type PreprocessMetrics,
  type TrainMetrics,
} from './stages/stage-outputs.js';
