/**
 * The scores of a SentencePiece file, by piece.
 *
 * A definition keeps the order that scores give, not the numbers; a GGUF file states the numbers. Only
 * the fields that carry them are read here: 1 (piece) of the message, 1 (text) and 2 (score) of a piece.
 */

import { readSentencePiece } from '../sentencepiece.js';

/**
 * Reads text and score of every piece, in id order.
 *
 * Throws: as {@link readSentencePiece}, which checks the bytes first.
 */
export function readSentencePieceScores(
  bytes: Uint8Array,
  origin: string,
): readonly { readonly text: string; readonly score: number }[] {
  readSentencePiece(bytes, origin);
  const pieces: { text: string; score: number }[] = [];
  eachField(bytes, (number, piece) => {
    if (number !== 1) return;
    let text = '';
    let score = 0;
    eachField(piece, (field, payload) => {
      if (field === 1) text = new TextDecoder().decode(payload);
      if (field === 2) score = new DataView(payload.buffer, payload.byteOffset).getFloat32(0, true);
    });
    pieces.push({ text, score });
  });
  return pieces;
}

/** Walks the fields of a protobuf message that is known to be whole; varint fields have no payload. */
function eachField(bytes: Uint8Array, visit: (number: number, payload: Uint8Array) => void): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) {
      varint();
      continue;
    }
    const size = wire === 2 ? varint() : wire === 1 ? 8 : 4;
    visit(tag >>> 3, bytes.subarray(at, at + size));
    at += size;
  }
}
