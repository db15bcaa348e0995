/**
 * Whether a template writes what a dialogue says, and writes it as the model was made to read it.
 *
 * Everything is found by rendering short probe dialogues; no text of a template is interpreted.
 */
import { TuneyardError } from '@tuneyard/core';
import { concatenateIds } from '../encode/concatenate-ids.js';
import type { Dialogue, PromptTemplate } from '../encode/prompt-template.js';
import { tokenizeSegments } from '../encode/segments.js';
import { isRejection } from '../handlers/conversation.js';
import { type ChatTemplate, suggestTemplate, templateSpec } from '../templates/index.js';
import { turnSlots } from '../templates/slots/slot-spec.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { type Finding, generalFinding } from './finding.js';

/** What {@link checkTemplate} looks at. */
export interface TemplateCheck {
  readonly template: PromptTemplate;
  /** As the user named it: `auto`, `plain` or a name. */
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly modelPath: string;
  /** The model's own chat template, when it has one. */
  readonly own: ChatTemplate | null;
  /** What the data have. */
  readonly data: {
    readonly systemRows: number;
    readonly multiTurnRows: number;
    readonly toolRows: number;
  };
}

const SYSTEM = 'Quarzbrille';
const TURNS = ['Apfelmus', 'Birkenholz', 'Citronenfalter', 'Dachgarten'] as const;
const ROLES = ['user', 'assistant', 'user', 'assistant'] as const;

const SHORT: Dialogue = dialogueOf(2, false);
const LONG: Dialogue = dialogueOf(4, false);
const WITH_SYSTEM: Dialogue = dialogueOf(2, true);
const TOOL = 'eieruhr';
const TOOLS = [
  {
    type: 'function',
    function: { name: TOOL, description: 'Rings.', parameters: { type: 'object', properties: {} } },
  },
];
const WITH_TOOLS: Dialogue = { ...SHORT, tools: TOOLS, toolsText: JSON.stringify(TOOLS) };

/** Checks a template on probes. Findings name no rows. */
export async function checkTemplate(check: TemplateCheck): Promise<Finding[]> {
  const { template, tokenizer } = check;
  const findings: Finding[] = [...checkMarkers(check.name, tokenizer)];
  const long = renderIds(template, LONG, tokenizer);
  if (long === null) {
    const canRender = renderIds(template, SHORT, tokenizer) !== null;
    if (canRender && check.data.multiTurnRows > 0) {
      const what = `the template does not keep its beginning when a dialogue goes on; ${count(check.data.multiTurnRows, 'row')} with several answers are affected`;
      findings.push(generalFinding('template_rewrites_history', { what }));
    }
  } else findings.push(...missingTurns(tokenizer.decode(long)));
  findings.push(...checkSystem(check), ...checkTools(check));
  findings.push(...(await compareWithOwn(check)));
  return findings;
}

function missingTurns(text: string): Finding[] {
  const missing = TURNS.flatMap((word, index) => (text.includes(word) ? [] : [index + 1]));
  if (missing.length === 0) return [];
  const what = `of a dialogue of four turns the template leaves out turn ${missing.join(', ')}`;
  return [generalFinding('template_drops_turns', { what })];
}

function checkSystem({ template, tokenizer, data }: TemplateCheck): Finding[] {
  if (data.systemRows === 0) return [];
  const ids = renderIds(template, WITH_SYSTEM, tokenizer);
  if (ids === null || tokenizer.decode(ids).includes(SYSTEM)) return [];
  const what = `the template leaves system messages out; ${count(data.systemRows, 'row')} with one`;
  return [generalFinding('template_drops_system', { what })];
}

/** A template that never looks at tools refuses such rows; this is about one that looks and leaves them out. */
function checkTools({ template, tokenizer, data }: TemplateCheck): Finding[] {
  if (data.toolRows === 0) return [];
  const ids = renderIds(template, WITH_TOOLS, tokenizer);
  if (ids === null || tokenizer.decode(ids).includes(TOOL)) return [];
  const what = `the template leaves tools out; ${count(data.toolRows, 'row')} with some`;
  return [generalFinding('template_drops_tools', { what })];
}

/** Marker-like texts of a named template that the tokenizer cuts up. */
function checkMarkers(name: string, tokenizer: Tokenizer): Finding[] {
  if (name === 'auto' || name === 'plain') return [];
  const slots = Object.values(turnSlots(templateSpec(name))).flat();
  const texts = slots.filter((slot) => typeof slot === 'string').join(' ');
  const markers = texts.match(/<[|｜][^<>{}]{1,40}[|｜]>|<(?:start|end)_of_turn>/g) ?? [];
  const split = [...new Set(markers)].filter((text) => tokenizer.tokenToId(text) === undefined);
  if (split.length === 0) return [];
  const what = `the template marks turns with ${split.join(' ')}, which ${split.length === 1 ? 'is not a single token' : 'are not single tokens'} here`;
  return [generalFinding('template_marker_split', { what })];
}

/** Compares tokens with those of the model's own template; names the templates that give the same. */
async function compareWithOwn(check: TemplateCheck): Promise<Finding[]> {
  const { own, name, template, tokenizer } = check;
  if (own === null || name === 'auto') return [];
  const difference = firstDifference(own, template, tokenizer);
  if (difference === null) return [];
  const names = await likelyTemplates(check.modelPath, tokenizer);
  const same = names.filter((other) => other !== name);
  const or = same.length === 0 ? '' : `, or ${same.join(' or ')}`;
  const fix = `Use template: auto for the model's own${or}.`;
  const what = `'${name}' writes ${difference.ours}, the model's own chat template ${difference.theirs}`;
  // Base models bring chat templates too, and are trained without them on purpose.
  const severity = name === 'plain' ? 'note' : 'warning';
  return [generalFinding('template_differs', { severity, what, fix })];
}

/** The names of templates that fit a model well, best first; at most three. */
export async function likelyTemplates(modelPath: string, tokenizer: Tokenizer): Promise<string[]> {
  const suggestions = await suggestTemplate(modelPath, tokenizer);
  const good = suggestions.filter(({ confidence }) => confidence !== 'possible');
  return good.slice(0, 3).map(({ template }) => template);
}

/** Words where two templates part, on the first probe that both take; null when they agree on all of them. */
function firstDifference(
  own: ChatTemplate,
  template: PromptTemplate,
  tokenizer: Tokenizer,
): { readonly ours: string; readonly theirs: string } | null {
  for (const probe of [WITH_SYSTEM, LONG, SHORT]) {
    const theirs = ownIds(own, probe, tokenizer);
    const ours = renderIds(template, probe, tokenizer);
    if (theirs === null || ours === null) continue;
    const a = withoutEnd(ours, tokenizer);
    const b = withoutEnd(theirs, tokenizer);
    let at = 0;
    while (at < a.length && a[at] === b[at]) at++;
    if (at === a.length && at === b.length) continue;
    return { ours: excerpt(a, at, tokenizer), theirs: excerpt(b, at, tokenizer) };
  }
  return null;
}

function renderIds(
  template: PromptTemplate,
  dialogue: Dialogue,
  tokenizer: Tokenizer,
): Int32Array | null {
  if (template.form === 'slots') {
    const turns = template.encodeTurns(dialogue);
    return isRejection(turns)
      ? null
      : concatenateIds(turns.flatMap(({ source, target }) => [source, target]));
  }
  const segments = template.renderDialogue(dialogue);
  if (isRejection(segments)) return null;
  return concatenateIds(tokenizeSegments(segments, tokenizer).map(({ ids }) => ids));
}

function ownIds(own: ChatTemplate, dialogue: Dialogue, tokenizer: Tokenizer): Int32Array | null {
  try {
    const text = own.render(dialogue.messages, { addGenerationPrompt: false });
    return tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: true });
  } catch (error) {
    // A template may refuse a probe, as those without system messages do.
    if (error instanceof TuneyardError) return null;
    throw error;
  }
}

/** Leaves out BOS, and line breaks and stop tokens after the last answer, about which templates differ harmlessly. */
function withoutEnd(ids: Int32Array, tokenizer: Tokenizer): Int32Array {
  let end = ids.length;
  while (
    end > 0 &&
    tokenizer.decode([ids[end - 1] ?? 0], { skipSpecialTokens: true }).trim() === ''
  ) {
    end--;
  }
  return ids.subarray(ids[0] === tokenizer.bosTokenId ? 1 : 0, end);
}

function excerpt(ids: Int32Array, at: number, tokenizer: Tokenizer): string {
  return JSON.stringify(tokenizer.decode(ids.subarray(Math.max(0, at - 2), at + 6)));
}

function dialogueOf(turns: number, hasSystem: boolean): Dialogue {
  const messages = TURNS.slice(0, turns).map((content, index) => ({
    role: ROLES[index] ?? 'user',
    content,
  }));
  return { messages: hasSystem ? [{ role: 'system', content: SYSTEM }, ...messages] : messages };
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
