/** Versions of what made an artifact. */
import { readFileSync } from 'node:fs';

let cached: { [tool: string]: string } | null = null;

/** Versions by tool name: tuneyard, node, and the platform as `linux-x64`. */
export function describeTools(): { [tool: string]: string } {
  cached ??= {
    tuneyard: ownVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  return { ...cached };
}

function ownVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  const parsed = JSON.parse(readFileSync(file, 'utf8')) as { readonly version?: string };
  return parsed.version ?? 'unknown';
}
