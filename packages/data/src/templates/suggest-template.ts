/**
 * Finds the named template that fits a model.
 *
 * Evidence, strongest first: the model's own chat template writes the same text for a short dialogue; the model's type;
 * markers that are single tokens of the vocabulary; words of the own template, such as `<think>`. A template whose
 * stop words the vocabulary lacks is never suggested.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GgufReader } from '@tuneyard/formats';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { ChatTemplate } from './chat-template.js';
import { loadChatTemplate } from './load-chat-template.js';
import { templatesOfModelType } from './model-type-templates.js';
import { TEMPLATE_SPECS } from './slots/registry.js';
import { type Slot, type TemplateSpec, turnSlots } from './slots/slot-spec.js';
import { type SpecialTexts, slotText, specText, type TextTurn } from './slots/spec-text.js';

/** How sure a suggestion is. */
export type Confidence = 'certain' | 'likely' | 'possible';

/** A template that may fit. */
export interface TemplateSuggestion {
  readonly template: string;
  readonly confidence: Confidence;
  /** What speaks for it, one short sentence each, strongest first. */
  readonly reasons: readonly string[];
}

/** What is known about a model. */
interface Evidence {
  readonly tokenizer: Tokenizer;
  readonly own: ChatTemplate | null;
  readonly modelType: string | null;
  readonly readsMedia: boolean;
}

interface Scored extends TemplateSuggestion {
  readonly score: number;
}

/** Most suggestions that are given. */
const SUGGESTIONS_MAX = 5;

/**
 * Suggests templates for a model, best first; none when nothing speaks for any.
 *
 * `config` is the model's `config.json`; when null it is read from the model's directory or GGUF file.
 *
 * Throws: whatever {@link loadChatTemplate} throws for a damaged template.
 */
export async function suggestTemplate(
  modelPath: string,
  tokenizer: Tokenizer,
  config: Readonly<Record<string, unknown>> | null = null,
): Promise<readonly TemplateSuggestion[]> {
  const known = config ?? (await readConfig(modelPath));
  const type = known['model_type'];
  const evidence: Evidence = {
    tokenizer,
    own: await loadChatTemplate(modelPath, tokenizer),
    modelType: typeof type === 'string' ? type : null,
    readsMedia: ['vision_config', 'audio_config', 'thinker_config'].some((key) => key in known),
  };
  return TEMPLATE_SPECS.map((spec) => scoreTemplate(spec, evidence))
    .filter((scored) => scored.score >= SCORE_MIN)
    .sort((a, b) => b.score - a.score || (a.template < b.template ? -1 : 1))
    .slice(0, SUGGESTIONS_MAX)
    .map(({ template, confidence, reasons }) => ({ template, confidence, reasons }));
}

async function readConfig(modelPath: string): Promise<Readonly<Record<string, unknown>>> {
  if (modelPath.endsWith('.gguf')) {
    const reader = await GgufReader.open(modelPath);
    try {
      return { model_type: reader.metadata.get('general.architecture')?.value };
    } finally {
      await reader.close();
    }
  }
  try {
    const value: unknown = JSON.parse(await readFile(join(modelPath, 'config.json'), 'utf8'));
    return isRecord(value) ? value : {};
  } catch (error) {
    const isMissing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (isMissing || error instanceof SyntaxError) return {};
    throw error;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Points for each kind of evidence; their order is what matters. */
const POINTS = {
  sameWithSystem: 6,
  sameWithout: 5,
  firstOfType: 3,
  laterOfType: 1.5,
  markersAreTokens: 2,
  otherMarkers: 1,
  thinks: 1,
  media: 2,
} as const;
const SCORE_MIN = 2;

function scoreTemplate(spec: TemplateSpec, evidence: Evidence): Scored {
  const { tokenizer, own } = evidence;
  const none = { template: spec.name, confidence: 'possible', reasons: [], score: 0 } as const;
  if (lacksTokens(spec, tokenizer)) return none;
  const finds = [
    ...compareWithOwn(spec, evidence),
    ...matchType(spec, evidence),
    ...matchMarkers(spec, evidence),
    ...matchThoughts(spec, own),
  ];
  const mediaFits =
    (spec.media !== undefined) === evidence.readsMedia || matchType(spec, evidence).length > 0;
  const score = finds.reduce((sum, find) => sum + find.points, mediaFits ? 0 : -POINTS.media);
  const reasons = finds.flatMap(({ reason }) => (reason === null ? [] : [reason]));
  const confidence = mediaFits ? confidenceOf(finds) : 'possible';
  return { template: spec.name, confidence, reasons, score };
}

interface Find {
  readonly points: number;
  /** Null: it speaks against. */
  readonly reason: string | null;
}

function confidenceOf(finds: readonly Find[]): Confidence {
  const has = (points: number) => finds.some((find) => find.points === points);
  const isSame = has(POINTS.sameWithSystem);
  if (isSame && has(POINTS.sameWithout)) return 'certain';
  return isSame || has(POINTS.sameWithout) || has(POINTS.firstOfType) ? 'likely' : 'possible';
}

const TALK: readonly TextTurn[] = [
  { role: 'user', content: 'One?' },
  { role: 'assistant', content: 'Two.' },
  { role: 'user', content: 'Three?' },
  { role: 'assistant', content: 'Four.' },
];
const TALK_WITH_SYSTEM: readonly TextTurn[] = [{ role: 'system', content: 'Five.' }, ...TALK];

function compareWithOwn(spec: TemplateSpec, { own, tokenizer }: Evidence): Find[] {
  if (own === null) return [];
  const finds: Find[] = [];
  if (isSame(spec, TALK_WITH_SYSTEM, own, tokenizer)) {
    const reason = "the model's own template writes a dialogue with system text the same way";
    finds.push({ points: POINTS.sameWithSystem, reason });
  }
  if (isSame(spec, TALK, own, tokenizer)) {
    const reason = "the model's own template writes a dialogue without system text the same way";
    finds.push({ points: POINTS.sameWithout, reason });
  }
  return finds;
}

function isSame(
  spec: TemplateSpec,
  turns: readonly TextTurn[],
  own: ChatTemplate,
  tokenizer: Tokenizer,
): boolean {
  const text = (id: number | null) => (id === null ? '' : (tokenizer.idToToken(id) ?? ''));
  const specials = { bos: text(tokenizer.bosTokenId), eos: eosText(spec, tokenizer) };
  const ends = { bos: specials.bos, eos: text(tokenizer.eosTokenId) };
  const rendered = renderOrNull(own, turns);
  if (rendered === null) return false;
  const whole = comparable(rendered, ends);
  const named = comparable(specText(spec, turns, specials), ends);
  if (!whole.startsWith(named)) return false;
  // Some templates begin the next answer even when they are not asked to.
  const rest = whole.slice(named.length);
  const prompt = slotText(turnSlots(spec).user, specials).trimEnd();
  return rest === '' || prompt.endsWith(rest) || prompt.endsWith(rest.slice(ends.eos.length));
}

function eosText(spec: TemplateSpec, tokenizer: Tokenizer): string {
  const first = spec.stopWords?.[0];
  if (spec.replaceEos === true && first !== undefined) return first;
  return tokenizer.eosTokenId === null ? '' : (tokenizer.idToToken(tokenizer.eosTokenId) ?? '');
}

/** A template may refuse system text, or anything else; then it tells nothing. */
function renderOrNull(own: ChatTemplate, turns: readonly TextTurn[]): string | null {
  try {
    return own.render(
      turns.map(({ role, content }) => ({ role, content })),
      { addGenerationPrompt: false },
    );
  } catch {
    // Whatever the model's template throws on this dialogue is an answer: it does not write it.
    return null;
  }
}

/** Without empty thoughts, and without BOS, EOS and blanks at the ends: these differ by settings, not by template. */
function comparable(text: string, { bos, eos }: SpecialTexts): string {
  let bare = text.replace(/<think>\s*<\/think>\s*/g, '').trimEnd();
  if (eos !== '' && bare.endsWith(eos)) bare = bare.slice(0, -eos.length).trimEnd();
  return bos !== '' && bare.startsWith(bos) ? bare.slice(bos.length) : bare;
}

function matchType(spec: TemplateSpec, { modelType }: Evidence): Find[] {
  if (modelType === null) return [];
  const at = templatesOfModelType(modelType).indexOf(spec.name);
  if (at < 0) return [];
  const points = at === 0 ? POINTS.firstOfType : POINTS.laterOfType;
  return [{ points, reason: `models of type ${modelType} are trained with it` }];
}

function matchMarkers(spec: TemplateSpec, { tokenizer, own }: Evidence): Find[] {
  const markers = markersOf(spec);
  if (markers.length === 0) return [];
  const missing = markers.filter((marker) => tokenizer.tokenToId(marker) === undefined);
  if (missing.length > 0) return [{ points: -POINTS.markersAreTokens, reason: null }];
  const isOther = own !== null && markers.some((marker) => !own.source.includes(marker));
  if (isOther) return [{ points: -POINTS.otherMarkers, reason: null }];
  const shown = markers.slice(0, 3).join(' ');
  const reason = `${shown} ${markers.length === 1 ? 'is a token' : 'are tokens'} of the vocabulary`;
  return [{ points: POINTS.markersAreTokens, reason }];
}

function matchThoughts(spec: TemplateSpec, own: ChatTemplate | null): Find[] {
  if (own === null) return [];
  const word = spec.thoughtWords?.[0] ?? '<think>';
  const thinks = own.source.includes(word) || own.source.includes('</think>');
  if (thinks !== (spec.reasoning === true)) return [{ points: -POINTS.thinks, reason: null }];
  return thinks ? [{ points: POINTS.thinks, reason: `the own template knows ${word}` }] : [];
}

const MARKER = /<\|[^|<>\s]+\|>|<｜[^｜<>]+｜>|<[a-z_]+_of_turn>|\[[A-Z]+_[A-Z]+\]|<_[a-z]+>/g;

/** Texts in the frame that look like control tokens. */
function markersOf(spec: TemplateSpec): string[] {
  const { prefix, system, user, assistant } = turnSlots(spec);
  const found = [...prefix, ...system, ...user, ...assistant].flatMap(markersIn);
  return [...new Set(found)];
}

function markersIn(slot: Slot): readonly string[] {
  if (typeof slot === 'string') return slot.match(MARKER) ?? [];
  return 'token' in slot ? [slot.token] : [];
}

/** True when a token that ends answers, or that a turn names, is not in the vocabulary. */
function lacksTokens(spec: TemplateSpec, tokenizer: Tokenizer): boolean {
  const slots = Object.values(turnSlots(spec)).flat();
  const lacks = (token: string) => tokenizer.tokenToId(token) === undefined;
  const isWritten = (word: string) =>
    slots.some((slot) => typeof slot === 'string' && slot.includes(word));
  return (
    slots.some((slot) => typeof slot !== 'string' && 'token' in slot && lacks(slot.token)) ||
    (spec.stopWords ?? []).some((word) => isWritten(word) && lacks(word))
  );
}
