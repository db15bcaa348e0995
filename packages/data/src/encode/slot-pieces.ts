/**
 * Slots made ready for many rows: what does not depend on the row is tokenized once.
 */
import type { Slot } from '../templates/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { concatenateIds } from './concatenate-ids.js';

/** Ids that never change, or a text around the content of a turn. */
export type SlotPiece =
  | { readonly ids: Int32Array }
  | { readonly before: string; readonly after: string; readonly hasIndex: boolean };

/** The tokenizer, and the ids behind BOS and EOS. */
export interface PieceTokens {
  readonly tokenizer: Tokenizer;
  readonly eosTokenId: number;
}

const CONTENT = '{{content}}';
const INDEX = '{{idx}}';

/** Compiles the slots of one kind of turn. */
export function compileSlots(slots: readonly Slot[], tokens: PieceTokens): readonly SlotPiece[] {
  return slots.map((slot): SlotPiece => {
    if (typeof slot !== 'string') return { ids: Int32Array.from(constantIds(slot, tokens)) };
    const at = slot.indexOf(CONTENT);
    if (at < 0) return { ids: encodeText(slot, tokens.tokenizer) };
    const before = slot.slice(0, at);
    const after = slot.slice(at + CONTENT.length);
    return { before, after, hasIndex: slot.includes(INDEX) };
  });
}

function constantIds(
  slot: Exclude<Slot, string>,
  { tokenizer, eosTokenId }: PieceTokens,
): readonly number[] {
  if ('token' in slot) return [tokenizer.tokenToId(slot.token) ?? 0];
  if (slot.special === 'eos') return [eosTokenId];
  return tokenizer.bosTokenId === null ? [] : [tokenizer.bosTokenId];
}

/** The ids of a turn. Each text is tokenized by itself; `index` is the turn's number where turns have one. */
export function encodePieces(
  pieces: readonly SlotPiece[],
  content: string,
  index: number | null,
  tokenizer: Tokenizer,
): Int32Array {
  const parts = pieces.map((piece) =>
    'ids' in piece ? piece.ids : encodeText(pieceText(piece, content, index), tokenizer),
  );
  return concatenateIds(parts);
}

function pieceText(
  { before, after, hasIndex }: Exclude<SlotPiece, { readonly ids: Int32Array }>,
  content: string,
  index: number | null,
): string {
  if (!hasIndex || index === null) return before + content + after;
  const numbered = (text: string) => text.replace(INDEX, String(index));
  return numbered(before) + content + numbered(after);
}

/** The text of the first slot with content in it: what a template puts around text that is not tokenized yet. */
export function frameText(pieces: readonly SlotPiece[], content: string): string {
  const first = pieces[0];
  return first === undefined || 'ids' in first ? '' : pieceText(first, content, null);
}

/** Ids of a text, with the special tokens that it spells but none around it. */
export function encodeText(text: string, tokenizer: Tokenizer): Int32Array {
  if (text === '') return new Int32Array(0);
  return tokenizer.encode(text, { addSpecialTokens: false, parseSpecial: true });
}
