/** `manifest.json`: what an artifact is, how it was made and from what. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type JsonValue, TuneyardError } from '@tuneyard/core';
import { z } from 'zod';
import { PIPELINE_ERRORS } from '../errors.js';

/** Name of the manifest in every artifact. */
export const MANIFEST_FILE = 'manifest.json';

const json: z.ZodType<JsonValue> = z.json() as z.ZodType<JsonValue>;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const relativePath = z.string().refine(isInside, 'must stay inside the artifact');

const manifestSchema = z.strictObject({
  format: z.literal(1),
  /** Directory under `artifacts/`: tokens, adapter, checkpoint, evaluation, model, gguf. */
  kind: z.string().min(1),
  /** Name of the recipe that made it first. */
  name: z.string().min(1),
  fingerprint: sha256,
  /** Id of the stage that made it, and the version of that stage's code. */
  stage: z.string().min(1),
  stageVersion: z.int().min(1),
  files: z.array(z.strictObject({ path: relativePath, size: z.int().min(0), sha256 })),
  /** Inputs by role: another artifact, or files outside the workspace. */
  parents: z.array(
    z.strictObject({
      role: z.string(),
      fingerprint: sha256,
      /** Artifact directory relative to `artifacts/`; null for an external input. */
      artifact: z.string().nullable(),
      /** Path of an external input when it was used; null for an artifact. */
      path: z.string().nullable(),
    }),
  ),
  parameters: z.record(z.string(), json),
  metrics: z.record(z.string(), json),
  toolVersions: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  /** Time that the stage took, over all its attempts in this run. */
  durationMs: z.number().min(0),
});

/** The content of `manifest.json`. */
export type ArtifactManifest = z.output<typeof manifestSchema>;

/** An artifact on disk. */
export interface Artifact {
  readonly dir: string;
  readonly manifest: ArtifactManifest;
}

/**
 * Reads and checks the manifest of an artifact directory.
 *
 * Throws: `ARTIFACT_MANIFEST_INVALID` when it is missing, no JSON, or of another shape.
 */
export async function readManifest(dir: string): Promise<ArtifactManifest> {
  const file = path.join(dir, MANIFEST_FILE);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw invalid(dir, (cause as Error).message, cause);
  }
  const result = manifestSchema.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw invalid(dir, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
  }
  return result.data;
}

function invalid(dir: string, why: string, cause?: unknown): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.ARTIFACT_MANIFEST_INVALID,
    `${dir} is not an artifact: ${MANIFEST_FILE}: ${why}`,
    { details: { path: dir }, cause },
  );
}

function isInside(relative: string): boolean {
  return (
    relative !== '' &&
    !path.posix.isAbsolute(relative) &&
    !relative.includes('\\') &&
    !relative.split('/').includes('..')
  );
}
