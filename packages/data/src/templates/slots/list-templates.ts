/** What can be said about the named templates without a model. */
import { ALIASES, TEMPLATE_SPECS } from './registry.js';
import type { TemplateSpec, ToolFormat } from './slot-spec.js';

/** One named template. */
export interface TemplateSummary {
  readonly name: string;
  /** Further names of the same. */
  readonly otherNames: readonly string[];
  /** Models that were trained with it. */
  readonly suits: string;
  readonly stopWords: readonly string[];
  readonly toolFormat: ToolFormat;
  /** System text of dialogues that bring none; empty when there is none. */
  readonly defaultSystem: string;
  /** What is special about it, one short sentence each. */
  readonly notes: readonly string[];
}

/** Every named template, in alphabetical order. */
export function listTemplates(): readonly TemplateSummary[] {
  return TEMPLATE_SPECS.map((spec) => ({
    name: spec.name,
    otherNames: Object.keys(ALIASES).filter((alias) => ALIASES[alias] === spec.name),
    suits: spec.suits,
    stopWords: spec.stopWords ?? [],
    toolFormat: spec.toolFormat ?? 'default',
    defaultSystem: spec.defaultSystem ?? '',
    notes: notesOf(spec),
  }));
}

function notesOf(spec: TemplateSpec): string[] {
  const notes: string[] = [];
  if (spec.reasoning === true) notes.push('an answer without a thought gets an empty one');
  if (spec.replaceEos === true) notes.push(`${spec.stopWords?.[0]} takes the place of EOS`);
  if (spec.efficientEos === true)
    notes.push('the end of an answer is learned on the next question');
  if (spec.systemInUser === true) notes.push('system text stands in the first question');
  if (spec.media !== undefined) notes.push(`media by the rule ${spec.media.plugin}`);
  return notes;
}
