/** The tokens of a GGUF file by id, with their types. */

import { type AddedToken, type TokenizerDefinition, VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { badFile, unsupported } from '../json-fields.js';
import { PIECE_TYPE, SPACE_MARK } from '../sentencepiece.js';

/** Token texts and types, both by id. */
export interface TokenList {
  readonly texts: readonly string[];
  readonly types: Int32Array;
}

interface Entry {
  readonly text: string;
  readonly type: number;
}

/** Text that stands for an id without a token. */
export function paddingText(id: number): string {
  return `[PAD${id}]`;
}

/**
 * Lists the tokens; ids without one, up to `vocabSize`, get an unused token.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` when there are more tokens than `vocabSize`, `TOKENIZER_BAD_FILE` for
 * two tokens with the same text, over which llama.cpp ends the process.
 */
export function tokenList(
  definition: TokenizerDefinition,
  vocabSize: number | undefined,
): TokenList {
  const entries = collectEntries(definition);
  const count = [...entries.keys()].reduce((max, id) => Math.max(max, id + 1), 0);
  const size = vocabSize ?? count;
  if (count > size) {
    throw unsupported(
      definition.origin,
      `a tokenizer of ${count} tokens for an embedding of ${size} rows`,
    );
  }
  const texts = Array.from({ length: size }, (_, id) => entries.get(id)?.text ?? paddingText(id));
  requireDistinct(texts, definition.origin);
  const types = Int32Array.from(texts, (_, id) => entries.get(id)?.type ?? PIECE_TYPE.unused);
  return { texts, types };
}

function collectEntries(definition: TokenizerDefinition): ReadonlyMap<number, Entry> {
  const { model } = definition;
  const isScored = definition.kind === 'sentencepiece-bpe';
  const byteIds = new Set(isScored ? model.byteFallback : null);
  const entries = new Map<number, Entry>();
  for (const [text, id] of model.symbols) {
    const type = byteIds.has(id) ? PIECE_TYPE.byte : PIECE_TYPE.normal;
    if (id < VIRTUAL_SYMBOL_BASE) entries.set(id, { text, type });
  }
  for (const token of definition.addedTokens) {
    const type = token.special ? PIECE_TYPE.control : PIECE_TYPE.userDefined;
    entries.set(token.id, { text: isScored ? unmarked(token) : token.content, type });
  }
  const unknown = isScored && model.unkId !== null ? entries.get(model.unkId) : undefined;
  if (unknown !== undefined && model.unkId !== null) {
    entries.set(model.unkId, { text: unknown.text, type: PIECE_TYPE.unknown });
  }
  return entries;
}

/** llama.cpp looks for added tokens in the text as it is, where a space is a space. */
function unmarked(token: AddedToken): string {
  const isMarked = token.normalizedContent !== null && !token.special;
  return isMarked ? token.content.replaceAll(SPACE_MARK, ' ') : token.content;
}

function requireDistinct(texts: readonly string[], origin: string): void {
  const seen = new Map<string, number>();
  for (const [id, text] of texts.entries()) {
    const other = seen.get(text);
    if (other !== undefined) {
      throw badFile(origin, `tokens ${other} and ${id} have the same text ${JSON.stringify(text)}`);
    }
    seen.set(text, id);
  }
}
