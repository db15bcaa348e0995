/** What can be said about the named templates without a model. */
import { ALIASES, TEMPLATE_SPECS, templateSpec } from './registry.js';
import { type TemplateSpec, type ToolFormat, type TurnSlots, turnSlots } from './slot-spec.js';
import { slotText } from './spec-text.js';

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
  return TEMPLATE_SPECS.map(summarize);
}

/** One named template with the texts of its slots. */
export interface TemplateDescription extends TemplateSummary {
  /** `{{content}}` stands for the text of a turn, `‹bos›` and `‹eos›` for the tokenizer's special tokens. */
  readonly slots: { readonly [part in keyof TurnSlots]: string };
}

/**
 * Describes the named template of that name.
 *
 * Throws: `CHAT_TEMPLATE_UNKNOWN` with the nearest known names.
 */
export function describeTemplate(name: string): TemplateDescription {
  const spec = templateSpec(name);
  const specials = { bos: '‹bos›', eos: '‹eos›' };
  const { prefix, system, user, assistant, function: call, observation } = turnSlots(spec);
  return {
    ...summarize(spec),
    slots: {
      prefix: slotText(prefix, specials),
      system: slotText(system, specials),
      user: slotText(user, specials),
      assistant: slotText(assistant, specials),
      function: slotText(call, specials),
      observation: slotText(observation, specials),
    },
  };
}

function summarize(spec: TemplateSpec): TemplateSummary {
  return {
    name: spec.name,
    otherNames: Object.keys(ALIASES).filter((alias) => ALIASES[alias] === spec.name),
    suits: spec.suits,
    stopWords: spec.stopWords ?? [],
    toolFormat: spec.toolFormat ?? 'default',
    defaultSystem: spec.defaultSystem ?? '',
    notes: notesOf(spec),
  };
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
