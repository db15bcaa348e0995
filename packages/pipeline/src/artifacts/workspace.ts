/** The workspace: one directory that holds artifacts, runs, work in progress and caches. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';

/** Absolute paths of a workspace's parts. */
export interface Workspace {
  readonly root: string;
  /** `artifacts/<kind>/<name>-<fingerprint12>/`. */
  readonly artifacts: string;
  /** `runs/<run id>/`. */
  readonly runs: string;
  /** `runs/work/<stage>-<fingerprint12>/`: locks and checkpoints that survive a kill. */
  readonly work: string;
  readonly cache: string;
}

/** Names the parts of a workspace without touching the disk. */
export function workspaceAt(root: string): Workspace {
  const absolute = path.resolve(root);
  return {
    root: absolute,
    artifacts: path.join(absolute, 'artifacts'),
    runs: path.join(absolute, 'runs'),
    work: path.join(absolute, 'runs', 'work'),
    cache: path.join(absolute, 'cache'),
  };
}

/**
 * Creates the directories of a workspace where they are missing.
 *
 * Throws: `WORKSPACE_UNUSABLE` when the place cannot be written.
 */
export async function openWorkspace(root: string): Promise<Workspace> {
  const workspace = workspaceAt(root);
  try {
    for (const dir of [workspace.artifacts, workspace.work, workspace.cache]) {
      await mkdir(dir, { recursive: true });
    }
  } catch (cause) {
    throw new TuneyardError(
      PIPELINE_ERRORS.WORKSPACE_UNUSABLE,
      `The workspace ${workspace.root} cannot be created or written: ${(cause as Error).message}`,
      {
        category: 'permission',
        details: { path: workspace.root },
        hint: 'Choose another place with --workspace or TUNEYARD_HOME.',
        cause,
      },
    );
  }
  return workspace;
}
