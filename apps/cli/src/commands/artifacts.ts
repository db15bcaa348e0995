/** `tuneyard artifacts`: what the workspace holds. */
import { formatBytes } from '@tuneyard/core';
import type { Artifact } from '@tuneyard/pipeline';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { formatTable } from '../terminal/table.js';

/** Adds `artifacts` to the program. */
export function addArtifactsCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'artifacts',
    summary: 'List what runs have made',
    description: 'Lists the results that the workspace holds, newest first.',
    examples: [
      { command: 'tuneyard artifacts', does: 'list everything' },
      { command: 'tuneyard artifacts --kind adapter --json', does: 'adapters, for a program' },
    ],
  })
    .option('--kind <kind>', 'only results of this kind, such as adapter, model or gguf')
    .action((flags: { kind?: string }) => listResults(start(), flags.kind));
}

async function listResults(cli: Cli, kind: string | undefined): Promise<void> {
  const { listArtifacts, workspaceAt } = await import('@tuneyard/pipeline');
  const workspace = workspaceAt(cli.workspace);
  const artifacts = (await listArtifacts(workspace)).filter(
    ({ manifest }) => kind === undefined || manifest.kind === kind,
  );
  const document = artifacts.map(({ dir, manifest }) => ({ dir, ...manifest }));
  cli.result({ workspace: workspace.root, artifacts: document }, () =>
    artifacts.length === 0 ? ['nothing yet'] : formatTable(COLUMNS, artifacts.map(toRow)),
  );
}

const COLUMNS = [
  { title: 'kind' },
  { title: 'name' },
  { title: 'fingerprint' },
  { title: 'made at (UTC)' },
  { title: 'size', align: 'right' },
  { title: 'directory' },
] as const;

function toRow({ dir, manifest }: Artifact): string[] {
  const bytes = manifest.files.reduce((sum, file) => sum + file.size, 0);
  const madeAt = manifest.createdAt.slice(0, 16).replace('T', ' ');
  const fingerprint = manifest.fingerprint.slice(0, 12);
  return [manifest.kind, manifest.name, fingerprint, madeAt, formatBytes(bytes), dir];
}
