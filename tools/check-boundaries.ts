/**
 * `npm run bounds`: checks who imports whom, by the rules of .dependency-cruiser.mjs.
 *
 * A cruise that cannot read TypeScript reports no violations and success, so each source file must have
 * been seen, and each that imports something must have been seen to.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseOptions, type ICruiseResult } from 'dependency-cruiser';
import config from '../.dependency-cruiser.mjs';
import { isSourceFile, listFiles } from './source-files.js';

/** What a check found; both lists empty when all is well. */
export interface BoundaryReport {
  /** Lines `rule: from → to`, sorted. */
  readonly violations: readonly string[];
  /** Source files that the cruise did not see, or whose imports it did not see. */
  readonly unseen: readonly string[];
  readonly moduleCount: number;
}

/** Checks the workspace at `root`. */
export async function checkBoundaries(root: string): Promise<BoundaryReport> {
  const sources = (await listFiles(root)).filter(isSourceFile);
  const { forbidden, options } = config;
  const cruiseOptions = {
    ...options,
    baseDir: resolve(root),
    ruleSet: { forbidden },
    validate: true,
  };
  const { output } = await cruise(sources, cruiseOptions as ICruiseOptions);
  if (typeof output === 'string') throw new Error('The cruise gave text instead of a result');
  return { ...reportOf(output), unseen: await findUnseen(root, sources, output) };
}

function reportOf(result: ICruiseResult): Omit<BoundaryReport, 'unseen'> {
  const violations = result.summary.violations.map(
    ({ rule, from, to }) => `${rule.name}: ${from} → ${to}`,
  );
  return {
    violations: [...new Set(violations)].sort(),
    moduleCount: result.modules.length,
  };
}

async function findUnseen(
  root: string,
  sources: readonly string[],
  result: ICruiseResult,
): Promise<string[]> {
  const importsOf = new Map(
    result.modules.map((module) => [module.source, module.dependencies.length]),
  );
  const unseen: string[] = [];
  for (const path of sources) {
    const seenImports = importsOf.get(path);
    const hasImports = /^(import|export) [^;]*from '/m.test(
      await readFile(join(root, path), 'utf8'),
    );
    if (seenImports === undefined || (hasImports && seenImports === 0)) unseen.push(path);
  }
  return unseen;
}

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const { violations, unseen, moduleCount } = await checkBoundaries(root);
  for (const line of violations) console.error(line);
  for (const path of unseen) console.error(`not seen by the boundary check: ${path}`);
  console.log(`${moduleCount} modules, ${violations.length} violations, ${unseen.length} unseen`);
  if (violations.length > 0 || unseen.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
