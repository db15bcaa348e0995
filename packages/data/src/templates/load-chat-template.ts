/** Finds the chat template that a model brings along. */

import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { GgufReader } from '@tuneyard/formats';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { ChatTemplate, type TemplateVariables } from './chat-template.js';
import { TEMPLATE_ERRORS } from './errors.js';

/** Options of {@link loadChatTemplate}. */
export interface LoadTemplateOptions {
  /** Which of several templates to take (`default`, `tool_use`, …). Default `default`. */
  readonly variant?: string;
  /** The clock behind `strftime_now`. Default: the current time. */
  readonly now?: () => Date;
}

/**
 * Loads the template of a Hugging Face directory (or a file in one) or of a `.gguf` file; null when
 * there is none. Looked for in this order: `chat_template.jinja`, `chat_template.json`, `chat_template`
 * in `tokenizer_config.json`; in GGUF `tokenizer.chat_template` and its named variants.
 *
 * Throws: `CHAT_TEMPLATE_BAD_FILE` when a file is damaged or lacks the variant, `CHAT_TEMPLATE_SYNTAX`.
 */
export async function loadChatTemplate(
  path: string,
  tokenizer: Tokenizer,
  options: LoadTemplateOptions = {},
): Promise<ChatTemplate | null> {
  const found = path.endsWith('.gguf')
    ? await findInGguf(path, options.variant ?? 'default')
    : await findInDirectory(await directoryOf(path), options.variant ?? 'default');
  if (found === null) {
    return null;
  }
  return new ChatTemplate(found.source, found.origin, templateVariables(tokenizer, options.now));
}

/**
 * As {@link loadChatTemplate}, for models that must have one.
 *
 * Throws: `CHAT_TEMPLATE_MISSING` when the model has none.
 */
export async function chatTemplateFor(
  path: string,
  tokenizer: Tokenizer,
  options: LoadTemplateOptions = {},
): Promise<ChatTemplate> {
  const own = await loadChatTemplate(path, tokenizer, options);
  if (own !== null) return own;
  throw new TuneyardError(
    TEMPLATE_ERRORS.CHAT_TEMPLATE_MISSING,
    `The model at ${path} has no chat template`,
    {
      category: 'not_found',
      details: { path },
      hint: 'Name one; tuneyard data templates lists them.',
    },
  );
}

/** The variables a template gets from a tokenizer: the texts of its special tokens. */
export function templateVariables(tokenizer: Tokenizer, now?: () => Date): TemplateVariables {
  const text = (id: number | null) => (id === null ? null : (tokenizer.idToToken(id) ?? null));
  const unk = text(tokenizer.unkTokenId);
  const pad = text(tokenizer.padTokenId);
  return {
    bosToken: text(tokenizer.bosTokenId),
    eosToken: text(tokenizer.eosTokenId),
    specialTokens: {
      ...(unk === null ? {} : { unk_token: unk }),
      ...(pad === null ? {} : { pad_token: pad }),
    },
    ...(now === undefined ? {} : { now }),
  };
}

interface Found {
  readonly source: string;
  readonly origin: string;
}

async function findInGguf(path: string, variant: string): Promise<Found | null> {
  const reader = await GgufReader.open(path);
  try {
    const key =
      variant === 'default' ? 'tokenizer.chat_template' : `tokenizer.chat_template.${variant}`;
    const value = reader.metadata.get(key)?.value;
    return typeof value === 'string' ? { source: value, origin: path } : null;
  } finally {
    await reader.close();
  }
}

async function findInDirectory(directory: string, variant: string): Promise<Found | null> {
  const jinja = join(directory, 'chat_template.jinja');
  const text = await readOptional(jinja);
  if (text !== null) {
    return { source: text, origin: jinja };
  }
  for (const name of ['chat_template.json', 'tokenizer_config.json']) {
    const file = join(directory, name);
    const json = await readOptional(file);
    const source = json === null ? null : chooseTemplate(json, variant, file);
    if (source !== null) {
      return { source, origin: file };
    }
  }
  return null;
}

/** `chat_template` is a string, or a list of `{name, template}`. */
function chooseTemplate(json: string, variant: string, file: string): string | null {
  const value = memberOf(parseJson(json, file), 'chat_template');
  if (value === undefined || value === null) {
    return null;
  }
  if (typeof value === 'string') {
    return value;
  }
  if (!Array.isArray(value)) {
    throw badFile(file, 'chat_template is neither a string nor a list');
  }
  const named = new Map(
    value.map((entry: unknown) => [memberOf(entry, 'name'), memberOf(entry, 'template')]),
  );
  const chosen = named.get(variant);
  if (typeof chosen !== 'string') {
    throw badFile(file, `there is no template ${variant}; found: ${[...named.keys()].join(', ')}`);
  }
  return chosen;
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function parseJson(json: string, file: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (cause) {
    throw badFile(file, 'not JSON', cause);
  }
}

function badFile(file: string, what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(TEMPLATE_ERRORS.CHAT_TEMPLATE_BAD_FILE, `${file}: ${what}`, {
    details: { file },
    cause,
  });
}

async function directoryOf(path: string): Promise<string> {
  try {
    return (await stat(path)).isDirectory() ? path : dirname(path);
  } catch (error) {
    if (isMissing(error)) {
      return path;
    }
    throw error;
  }
}

async function readOptional(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return null;
    }
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
