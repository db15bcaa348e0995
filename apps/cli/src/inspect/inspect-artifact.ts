/** Facts of an artifact: what it is, how it was made and from what. */
import { formatBytes, formatDuration } from '@tuneyard/core';
import { readManifest } from '@tuneyard/pipeline';
import { formatMetrics } from '../run/run-printer.js';
import type { FactSection, Inspection } from './inspection.js';

/** Inspects the manifest of an artifact directory; its files are not read. Throws: `ARTIFACT_MANIFEST_INVALID`. */
export async function inspectManifest(directory: string): Promise<Inspection> {
  const manifest = await readManifest(directory);
  const bytes = manifest.files.reduce((sum, file) => sum + file.size, 0);
  const metrics = formatMetrics(manifest.metrics).join(' · ');
  const section: FactSection = {
    title: 'Artifact',
    facts: [
      ['kind', manifest.kind],
      ['name', manifest.name],
      ['made by', `stage ${manifest.stage} in ${formatDuration(manifest.durationMs)}`],
      ['made at', manifest.createdAt],
      ['made from', manifest.parents.map(showParent).join('\n') || 'nothing'],
      ['files', `${manifest.files.length}, ${formatBytes(bytes)}`],
      ['fingerprint', manifest.fingerprint],
      ...(metrics === '' ? [] : [['results', metrics] as const]),
    ],
  };
  return {
    kind: 'artifact',
    sections: [section],
    document: { manifest },
    tensors: null,
    problems: [],
    close: () => Promise.resolve(),
  };
}

type Parent = Awaited<ReturnType<typeof readManifest>>['parents'][number];

function showParent({ role, artifact, path }: Parent): string {
  return `${role}: ${artifact ?? path ?? 'unknown'}`;
}
