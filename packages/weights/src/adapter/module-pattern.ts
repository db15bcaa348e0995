/**
 * PEFT's `rank_pattern` and `alpha_pattern`: values by module name or regular expression.
 *
 * A key matches a module path when it equals the path or its end after a dot, read as a regular
 * expression; the first key in file order wins. Source: PEFT `peft/utils/other.py`, `get_pattern_key`.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { AdapterConfig } from './adapter.js';

/** Longest pattern that is compiled; real ones are module names or short alternations. */
export const MAX_PATTERN_CHARS = 512;

/** A quantified group that holds a quantifier can take exponential time on a crafted adapter. */
const NESTED_QUANTIFIER = /\([^()]*[*+}][^()]*\)\s*[*+{]/;

/** Rank of a module under the adapter's settings. Throws: `WEIGHTS_ADAPTER_CONFIG` for bad patterns. */
export function moduleRank(config: AdapterConfig, module: string): number {
  return matchPattern(config.rankPattern, module, 'rank_pattern') ?? config.rank;
}

/** Scale on B·A of a module. Throws: `WEIGHTS_ADAPTER_CONFIG` for bad patterns. */
export function moduleScale(config: AdapterConfig, module: string): number {
  const rank = moduleRank(config, module);
  const alpha = matchPattern(config.alphaPattern, module, 'alpha_pattern') ?? config.alpha;
  return config.rslora ? alpha / Math.sqrt(rank) : alpha / rank;
}

function matchPattern(
  patterns: Readonly<Record<string, number>>,
  module: string,
  field: string,
): number | undefined {
  for (const [pattern, value] of Object.entries(patterns)) {
    if (compile(pattern, field).test(module)) return value;
  }
  return undefined;
}

function compile(pattern: string, field: string): RegExp {
  const isSafe = pattern.length <= MAX_PATTERN_CHARS && !NESTED_QUANTIFIER.test(pattern);
  try {
    if (isSafe) return new RegExp(`^(?:.*\\.)?(?:${fromPython(pattern)})$`);
  } catch (cause) {
    throw badPattern(pattern, field, cause);
  }
  throw badPattern(pattern, field);
}

/** The few spellings of Python's `re` that JavaScript writes otherwise. */
function fromPython(pattern: string): string {
  return pattern.replaceAll('(?P<', '(?<').replaceAll('\\A', '^').replaceAll('\\Z', '$');
}

function badPattern(pattern: string, field: string, cause?: unknown): TuneyardError {
  const shown = pattern.length > 80 ? `${pattern.slice(0, 77)}...` : pattern;
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_CONFIG,
    `adapter_config.json: ${field} key '${shown}' is not a usable module pattern`,
    {
      details: { field, pattern: shown },
      hint: `Patterns are regular expressions of at most ${MAX_PATTERN_CHARS} characters without nested repetition.`,
      cause,
    },
  );
}
