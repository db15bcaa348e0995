/** Every named template, by name. */
import { TuneyardError } from '@tuneyard/core';
import { nearestNames } from '../../nearest-names.js';
import { TEMPLATE_ERRORS } from '../errors.js';
import { CHATML_TEMPLATES } from './chatml-templates.js';
import { LLAMA_TEMPLATES } from './llama-templates.js';
import { MARKER_TEMPLATES } from './marker-templates.js';
import type { TemplateSpec } from './slot-spec.js';
import { WORDING_TEMPLATES } from './wording-templates.js';

const SPECS: ReadonlyMap<string, TemplateSpec> = new Map(
  [...CHATML_TEMPLATES, ...LLAMA_TEMPLATES, ...MARKER_TEMPLATES, ...WORDING_TEMPLATES]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => [spec.name, spec]),
);

/** Other names of the same template. */
export const ALIASES: { readonly [name: string]: string } = { gemma2: 'gemma', phi3: 'phi' };

/** Every template by its own name, in alphabetical order. */
export const TEMPLATE_SPECS: readonly TemplateSpec[] = [...SPECS.values()];

/** Every name of a template, other names included, in alphabetical order. */
export const TEMPLATE_NAMES: readonly string[] = [...SPECS.keys(), ...Object.keys(ALIASES)].sort();

/**
 * The template of that name.
 *
 * Throws: `CHAT_TEMPLATE_UNKNOWN` with the nearest known names.
 */
export function templateSpec(name: string): TemplateSpec {
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
  const spec = SPECS.get(alias ?? name);
  if (spec !== undefined) return spec;
  const nearest = nearestNames(name, TEMPLATE_NAMES);
  throw new TuneyardError(
    TEMPLATE_ERRORS.CHAT_TEMPLATE_UNKNOWN,
    `There is no template ${JSON.stringify(name)}; known: ${TEMPLATE_NAMES.join(', ')}`,
    {
      category: 'not_found',
      details: { name, nearest },
      hint:
        nearest.length === 0
          ? "Use template: auto for the model's own, or template: plain for a base model."
          : `Did you mean ${nearest.join(' or ')}?`,
    },
  );
}

/** The rule by which a named template takes media; null = it takes none, or there is no such template. */
export function mediaPluginOf(name: string): string | null {
  return SPECS.get(ALIASES[name] ?? name)?.media?.plugin ?? null;
}
