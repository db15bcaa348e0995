/** What handlers are made from: checked settings and the tokenizer with its template. */
import { TuneyardError } from '@tuneyard/core';
import type { PromptTemplate } from '../encode/prompt-template.js';
import type { SampleEncodeOptions } from '../encode/sample-encoder.js';
import { DATA_ERRORS } from '../errors.js';
import { nearestNames } from '../nearest-names.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { DEFAULT_TAGS, type RoleTags } from './dataset-spec.js';
import type { RecordNames } from './dialogue-record.js';
import type { HandlerSettings } from './handler-settings.js';
import { DEFAULT_RECORD_COLUMNS, type RecordColumns } from './record-columns.js';

/** A tokenizer and, where dialogues are rendered, the template that writes for it. */
export interface HandlerTools {
  readonly tokenizer: Tokenizer;
  readonly template: PromptTemplate | null;
}

/** What a handler is made from. */
export interface HandlerContext extends HandlerTools {
  /** Canonical name of the handler. */
  readonly name: string;
  readonly settings: HandlerSettings;
  readonly names: RecordNames;
}

/** Puts a context together. Throws: `DATA_BAD_OPTION` for a mapping of something that is no column or role. */
export function handlerContext(
  name: string,
  settings: HandlerSettings,
  tools: HandlerTools,
): HandlerContext {
  return { name, settings, ...tools, names: namesOf(settings) };
}

/** The template. Throws: `DATA_BAD_OPTION` when there is none. */
export function requiredTemplate({ name, template }: HandlerContext): PromptTemplate {
  if (template !== null) return template;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `${name} writes dialogues with a prompt template, and none is set`,
    { details: { handler: name }, hint: 'Set template, such as qwen, llama3 or auto.' },
  );
}

/** Options of encoding. */
export function encodeOptions(context: HandlerContext): SampleEncodeOptions {
  const { cutoffLength, overlength, maskHistory, trainOnPrompt } = context.settings;
  return {
    tokenizer: context.tokenizer,
    template: requiredTemplate(context),
    cutoffLength,
    overlength,
    maskHistory: maskHistory ?? false,
    trainOnPrompt: trainOnPrompt ?? false,
  };
}

/** The end-of-document token where it is to be appended, else null. Throws: `DATA_NO_STOP_TOKEN`. */
export function appendedToken(context: HandlerContext): number | null {
  return context.settings.appendEod === true ? stopToken(context) : null;
}

/**
 * The end-of-document token: the one set, else the EOS of the tokenizer, which a named template may have replaced.
 *
 * Throws: `DATA_NO_STOP_TOKEN` when there is none.
 */
export function stopToken({ name, settings, tokenizer, template }: HandlerContext): number {
  const replaced = template?.form === 'slots' ? template.stopTokenIds[0] : undefined;
  const token = settings.stopTokenId ?? replaced ?? tokenizer.eosTokenId;
  if (token !== null) return token;
  throw new TuneyardError(
    DATA_ERRORS.DATA_NO_STOP_TOKEN,
    `${name} ends texts with the EOS token, and ${tokenizer.origin} names none`,
    { details: { handler: name }, hint: 'Set eos_token in tokenizer_config.json.' },
  );
}

/** Meanings as the original's handlers call them, where `dataset_info.json` says it otherwise. */
const COLUMN_SYNONYMS: { readonly [name: string]: keyof RecordColumns } = {
  instruction: 'prompt',
  input: 'query',
  output: 'response',
  conversations: 'messages',
};

function namesOf(settings: HandlerSettings): RecordNames {
  const columns: { [name: string]: string } = { ...settings.columns };
  let tags: Partial<RoleTags> = settings.tags ?? {};
  for (const [key, value] of Object.entries(settings.mapKeys ?? {})) {
    if (key === 'tags') tags = { ...tags, ...checkedTags(value) };
    else columns[columnKey(key)] = checkedName(`map_keys.${key}`, value);
  }
  return { columns, tags };
}

function columnKey(key: string): string {
  if (Object.hasOwn(DEFAULT_RECORD_COLUMNS, key)) return key;
  const synonym = Object.hasOwn(COLUMN_SYNONYMS, key) ? COLUMN_SYNONYMS[key] : undefined;
  if (synonym !== undefined) return synonym;
  throw unknownKey('map_keys', key, [...Object.keys(DEFAULT_RECORD_COLUMNS), 'tags']);
}

function checkedTags(value: unknown): Partial<RoleTags> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badOption('map_keys.tags is not an object of role names');
  }
  for (const [key, name] of Object.entries(value)) {
    if (!Object.hasOwn(DEFAULT_TAGS, key)) {
      throw unknownKey('map_keys.tags', key, Object.keys(DEFAULT_TAGS));
    }
    checkedName(`map_keys.tags.${key}`, name);
  }
  return value;
}

/** An empty name, or null, says that there is no such column. */
function checkedName(where: string, value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  throw badOption(`${where} is ${JSON.stringify(value)}; expected a name`);
}

function unknownKey(where: string, key: string, known: readonly string[]): TuneyardError {
  const near = nearestNames(key, known);
  const message = `${where} has the unknown key '${key}'; known are ${known.join(', ')}`;
  return badOption(message, near.length === 0 ? undefined : `Did you mean ${near.join(' or ')}?`);
}

function badOption(message: string, hint?: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, message, {
    ...(hint === undefined ? {} : { hint }),
  });
}
