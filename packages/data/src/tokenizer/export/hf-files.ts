/** Makes the tokenizer files of a Hugging Face directory from the metadata of a GGUF file. */

import { GgufReader, type GgufValue } from '@tuneyard/formats';
import type { TokenizerDefinition } from '../definition.js';
import { ggufPreTokenizer } from '../gguf-pre-tokenizers.js';
import { readGgufTokenizer } from '../gguf-tokenizer.js';
import { PIECE_TYPE } from '../sentencepiece.js';
import { addedTokenFlags, hfTokenizerJson, type JsonObject } from './hf-tokenizer-json.js';
import { paddingText } from './token-list.js';

/** A file to write beside a model's weights. */
export interface TokenizerFile {
  readonly name: string;
  readonly content: string;
}

type Metadata = ReadonlyMap<string, GgufValue>;

/**
 * The files that make a model from GGUF a complete Hugging Face directory: `tokenizer.json`,
 * `tokenizer_config.json`, `special_tokens_map.json` and `generation_config.json`. Unused tokens
 * `[PAD<id>]` at the end of the list are left out.
 *
 * Throws: what reading the file and its tokenizer throws; `TOKENIZER_UNSUPPORTED`.
 * Checked against: our loader, npm tokenizers 0.23.2 and transformers 5.24.0.
 */
export async function tokenizerFilesFromGguf(path: string): Promise<readonly TokenizerFile[]> {
  const reader = await GgufReader.open(path);
  try {
    return planTokenizerFiles(reader.metadata, path);
  } finally {
    await reader.close();
  }
}

/** As {@link tokenizerFilesFromGguf}, from metadata that is already read. */
export function planTokenizerFiles(metadata: Metadata, origin: string): readonly TokenizerFile[] {
  const definition = readGgufTokenizer(metadata, origin);
  const tokens = tokenTexts(metadata);
  const patterns =
    definition.kind === 'byte-level-bpe'
      ? ggufPreTokenizer(textOf(metadata, 'tokenizer.ggml.pre') ?? 'default', origin).patterns
      : [];
  const names = specialNames(definition, tokens);
  return [
    file('tokenizer.json', hfTokenizerJson({ definition, tokens, patterns })),
    file('tokenizer_config.json', tokenizerConfig(definition, metadata, names)),
    file('special_tokens_map.json', names),
    file('generation_config.json', generationConfig(definition, metadata)),
  ];
}

function file(name: string, content: JsonObject): TokenizerFile {
  return { name, content: `${JSON.stringify(content, null, 2)}\n` };
}

function tokenTexts(metadata: Metadata): readonly string[] {
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const types = metadata.get('tokenizer.ggml.token_type');
  const texts = tokens?.type === 'array' && tokens.itemType === 'string' ? tokens.value : [];
  const typeOf = (id: number) => (types?.type === 'array' ? Number(types.value[id]) : undefined);
  let count = texts.length;
  while (
    count > 0 &&
    texts[count - 1] === paddingText(count - 1) &&
    typeOf(count - 1) === PIECE_TYPE.unused
  ) {
    count--;
  }
  return texts.slice(0, count);
}

function specialNames(
  definition: TokenizerDefinition,
  tokens: readonly string[],
): Readonly<Record<string, string>> {
  const ids = {
    bos_token: definition.bosTokenId,
    eos_token: definition.eosTokenId,
    unk_token: definition.unkTokenId,
    pad_token: definition.padTokenId,
  };
  return Object.fromEntries(
    Object.entries(ids).flatMap(([name, id]) => {
      const text = id === null ? undefined : tokens[id];
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

function tokenizerConfig(
  definition: TokenizerDefinition,
  metadata: Metadata,
  names: Readonly<Record<string, string>>,
): JsonObject {
  const template = chatTemplate(metadata);
  const context = contextLength(metadata);
  return {
    add_bos_token: definition.prefixIds.length > 0,
    add_eos_token: definition.suffixIds.length > 0,
    added_tokens_decoder: Object.fromEntries(
      definition.addedTokens.map((token) => [String(token.id), addedTokenFlags(token)]),
    ),
    ...names,
    clean_up_tokenization_spaces: false,
    ...(context === undefined ? {} : { model_max_length: context }),
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(template === undefined ? {} : { chat_template: template }),
  };
}

const TEMPLATE_KEY = 'tokenizer.chat_template';

/** The one template, or a list when the file has named variants too. */
function chatTemplate(metadata: Metadata): string | readonly JsonObject[] | undefined {
  const main = textOf(metadata, TEMPLATE_KEY);
  const variants = [...metadata.keys()]
    .filter((key) => key.startsWith(`${TEMPLATE_KEY}.`))
    .map((key) => ({ name: key.slice(TEMPLATE_KEY.length + 1), template: textOf(metadata, key) }));
  if (variants.length === 0) return main;
  return [...(main === undefined ? [] : [{ name: 'default', template: main }]), ...variants];
}

function generationConfig(definition: TokenizerDefinition, metadata: Metadata): JsonObject {
  const turn = Number(metadata.get('tokenizer.ggml.eot_token_id')?.value ?? Number.NaN);
  const ends = [definition.eosTokenId, turn].filter(
    (id): id is number => id !== null && Number.isInteger(id),
  );
  const stops = [...new Set(ends)];
  return {
    ...(definition.bosTokenId === null ? {} : { bos_token_id: definition.bosTokenId }),
    ...(stops.length === 0 ? {} : { eos_token_id: stops.length === 1 ? stops[0] : stops }),
    ...(definition.padTokenId === null ? {} : { pad_token_id: definition.padTokenId }),
  };
}

function contextLength(metadata: Metadata): number | undefined {
  const architecture = textOf(metadata, 'general.architecture');
  const value = metadata.get(`${architecture}.context_length`);
  return value?.type === 'u32' || value?.type === 'u64' ? Number(value.value) : undefined;
}

function textOf(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key);
  return value?.type === 'string' ? value.value : undefined;
}
