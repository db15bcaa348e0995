/**
 * Loads SentencePiece's `tokenizer.model` (BPE type).
 *
 * The file is one protobuf message, `ModelProto` of sentencepiece_model.proto: field 1 repeated pieces
 * (1 text, 2 score, 3 type), field 2 the trainer's settings (3 model type, 35 byte fallback,
 * 40–43 unk/bos/eos/pad id), field 3 the normalizer's (1 name, 2 character map, 3 dummy prefix,
 * 4 remove extra white space, 5 escape white space). The reader below knows exactly that much.
 *
 * Control pieces such as `<s>` are recognised in text when special tokens are parsed, as Hugging Face
 * does; SentencePiece's own encoder never does.
 */

import { PLAIN_DECODER } from './decoders.js';
import type { AddedToken, NormalizerStep, TokenizerDefinition } from './definition.js';
import { badFile, unsupported } from './json-fields.js';
import { byteFallbackIds, rulesFromScores, type ScoredPiece } from './merge-rules.js';
import { literalPattern } from './normalizers.js';

/** The mark SentencePiece writes for a space. */
export const SPACE_MARK = '\u2581';

/** Piece types of sentencepiece_model.proto; GGUF's `tokenizer.ggml.token_type` uses the same codes. */
export const PIECE_TYPE = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

const MODEL_TYPES = ['', 'unigram', 'bpe', 'word', 'char'];
/** Pieces beyond this are refused; the largest real vocabularies have 2^18. */
const PIECES_MAX = 1 << 22;

/** A piece as every file format states it. */
export interface PieceRecord {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

/**
 * Reads a SentencePiece model file.
 *
 * Throws: `TOKENIZER_BAD_FILE` for bytes that are no such message; `TOKENIZER_UNSUPPORTED` for unigram,
 * word and character models, a character map, unused pieces, white space as a suffix.
 * Checked against: the ids of the same vocabulary's tokenizer.json.
 */
export function readSentencePiece(bytes: Uint8Array, origin: string): TokenizerDefinition {
  const model = parseModelProto(bytes, origin);
  refuseUnsupported(model, origin);
  const pieces = model.pieces;
  const idAt = (id: number, type: number): number | null => (pieces[id]?.type === type ? id : null);
  const bosTokenId = idAt(model.bosId, PIECE_TYPE.control);
  const escapeStep: NormalizerStep[] = [
    { type: 'replace', pattern: literalPattern(' '), content: SPACE_MARK },
  ];
  const normalizer: NormalizerStep[] = [
    ...(model.removeExtraSpaces ? [{ type: 'collapse-spaces' } as const] : []),
    ...(model.addDummyPrefix ? [{ type: 'prepend', text: SPACE_MARK } as const] : []),
    ...(model.escapeSpaces ? escapeStep : []),
  ];
  return {
    ...fromPieces(pieces, { origin, userDefinedNormalized: true }),
    normalizer,
    decoder: {
      ...PLAIN_DECODER,
      byteFallback: true,
      replacements: [{ from: SPACE_MARK, to: ' ' }],
      stripLeadingSpaces: model.addDummyPrefix ? 1 : 0,
    },
    prefixIds: bosTokenId === null ? [] : [bosTokenId],
    suffixIds: [],
    bosTokenId,
    eosTokenId: idAt(model.eosId, PIECE_TYPE.control),
    unkTokenId: idAt(model.unkId, PIECE_TYPE.unknown),
    padTokenId: idAt(model.padId, PIECE_TYPE.control),
  };
}

/**
 * The parts of a definition that follow from scored pieces alone; GGUF's `llama` vocabularies share
 * them. `userDefinedNormalized`: user-defined pieces are looked for after normalization
 * (SentencePiece), not before it (llama.cpp).
 */
export function fromPieces(
  pieces: readonly PieceRecord[],
  options: { readonly origin: string; readonly userDefinedNormalized: boolean },
): Pick<TokenizerDefinition, 'origin' | 'kind' | 'preTokenizer' | 'model' | 'addedTokens'> {
  const symbols = new Map<string, number>();
  const scored: ScoredPiece[] = [];
  for (const [id, { text, score, type }] of pieces.entries()) {
    if (type !== PIECE_TYPE.unknown && type !== PIECE_TYPE.control) {
      symbols.set(text, id);
    }
    if (type !== PIECE_TYPE.unknown && type !== PIECE_TYPE.control && type !== PIECE_TYPE.byte) {
      scored.push({ text, id, score });
    }
  }
  const unk = pieces.findIndex((piece) => piece.type === PIECE_TYPE.unknown);
  const byteFallback = byteFallbackIds(symbols);
  return {
    origin: options.origin,
    kind: 'sentencepiece-bpe',
    preTokenizer: [],
    model: {
      merges: rulesFromScores(scored, symbols),
      symbols,
      byteFallback,
      ignoreMerges: false,
      unkId: unk < 0 ? null : unk,
      fuseUnk: true,
    },
    addedTokens: addedPieces(pieces, options.userDefinedNormalized),
  };
}

/** Control, unknown and user-defined pieces as added tokens. */
export function addedPieces(
  pieces: readonly PieceRecord[],
  userDefinedNormalized: boolean,
): readonly AddedToken[] {
  return pieces.flatMap(({ text, type }, id) => {
    const isUserDefined = type === PIECE_TYPE.userDefined;
    if (!isUserDefined && type !== PIECE_TYPE.control && type !== PIECE_TYPE.unknown) {
      return [];
    }
    return [
      {
        id,
        content: text,
        special: !isUserDefined,
        singleWord: false,
        lstrip: false,
        rstrip: false,
        normalizedContent: isUserDefined && userDefinedNormalized ? text : null,
      },
    ];
  });
}

interface SentencePieceModel {
  pieces: PieceRecord[];
  modelType: number;
  unkId: number;
  bosId: number;
  eosId: number;
  padId: number;
  suffixSpaces: boolean;
  charsMapBytes: number;
  normalizerName: string;
  addDummyPrefix: boolean;
  removeExtraSpaces: boolean;
  escapeSpaces: boolean;
}

function refuseUnsupported(model: SentencePieceModel, origin: string): void {
  const type = MODEL_TYPES[model.modelType] ?? String(model.modelType);
  if (type !== 'bpe') {
    throw unsupported(origin, `a SentencePiece model of type ${type}`, ['bpe']);
  }
  if (model.charsMapBytes > 0) {
    throw unsupported(
      origin,
      `the SentencePiece normalizer ${model.normalizerName} with a character map of ${model.charsMapBytes} bytes`,
      ['identity'],
    );
  }
  if (model.suffixSpaces) {
    throw unsupported(origin, 'treat_whitespace_as_suffix');
  }
  const unused = model.pieces.findIndex((piece) => piece.type === PIECE_TYPE.unused);
  if (unused >= 0) {
    throw unsupported(origin, `an unused piece (id ${unused})`);
  }
}

function parseModelProto(bytes: Uint8Array, origin: string): SentencePieceModel {
  const model: SentencePieceModel = {
    pieces: [],
    modelType: 1,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: -1,
    suffixSpaces: false,
    charsMapBytes: 0,
    normalizerName: '',
    addDummyPrefix: true,
    removeExtraSpaces: true,
    escapeSpaces: true,
  };
  for (const field of readFields(bytes, origin)) {
    if (field.number === 1) {
      if (model.pieces.length >= PIECES_MAX) {
        throw badFile(origin, `more than ${PIECES_MAX} pieces`);
      }
      model.pieces.push(parsePiece(field.bytes, origin));
    } else if (field.number === 2) {
      parseTrainer(field.bytes, model, origin);
    } else if (field.number === 3) {
      parseNormalizerSpec(field.bytes, model, origin);
    }
  }
  if (model.pieces.length === 0) {
    throw badFile(origin, 'no pieces: not a SentencePiece model');
  }
  return model;
}

function parsePiece(bytes: Uint8Array, origin: string): PieceRecord {
  let text = '';
  let score = 0;
  let type: number = PIECE_TYPE.normal;
  for (const field of readFields(bytes, origin)) {
    if (field.number === 1) {
      text = new TextDecoder().decode(field.bytes);
    } else if (field.number === 2) {
      score = parseFloat32(field.bytes, origin);
    } else if (field.number === 3) {
      type = field.value;
    }
  }
  return { text, score, type };
}

function parseFloat32(bytes: Uint8Array, origin: string): number {
  if (bytes.length !== 4) {
    throw badFile(origin, `a score of ${bytes.length} bytes, 4 expected`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
}

function parseTrainer(bytes: Uint8Array, model: SentencePieceModel, origin: string): void {
  for (const { number, value } of readFields(bytes, origin)) {
    if (number === 3) {
      model.modelType = value;
    } else if (number === 24) {
      model.suffixSpaces = value !== 0;
    } else if (number === 40) {
      model.unkId = value;
    } else if (number === 41) {
      model.bosId = value;
    } else if (number === 42) {
      model.eosId = value;
    } else if (number === 43) {
      model.padId = value;
    }
  }
}

function parseNormalizerSpec(bytes: Uint8Array, model: SentencePieceModel, origin: string): void {
  for (const field of readFields(bytes, origin)) {
    if (field.number === 1) {
      model.normalizerName = new TextDecoder().decode(field.bytes);
    } else if (field.number === 2) {
      model.charsMapBytes = field.bytes.length;
    } else if (field.number === 3) {
      model.addDummyPrefix = field.value !== 0;
    } else if (field.number === 4) {
      model.removeExtraSpaces = field.value !== 0;
    } else if (field.number === 5) {
      model.escapeSpaces = field.value !== 0;
    }
  }
}

interface ProtoField {
  readonly number: number;
  /** Varint fields: the value as a signed 32-bit integer; else 0. */
  readonly value: number;
  /** Length-delimited and fixed fields: the payload; else empty. */
  readonly bytes: Uint8Array;
}

const EMPTY = new Uint8Array(0);

function* readFields(bytes: Uint8Array, origin: string): Generator<ProtoField> {
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const start = cursor.at;
    const tag = readVarint(bytes, cursor, origin);
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) {
      yield { number, value: readVarint(bytes, cursor, origin), bytes: EMPTY };
      continue;
    }
    const size = payloadBytes(wire, bytes, cursor, origin);
    if (size < 0 || size > bytes.length - cursor.at) {
      throw badFile(
        origin,
        `protobuf field ${number} at byte ${start} needs ${size} bytes, ${bytes.length - cursor.at} are left`,
      );
    }
    yield { number, value: 0, bytes: bytes.subarray(cursor.at, cursor.at + size) };
    cursor.at += size;
  }
}

function payloadBytes(
  wire: number,
  bytes: Uint8Array,
  cursor: { at: number },
  origin: string,
): number {
  switch (wire) {
    case 1:
      return 8;
    case 2:
      return readVarint(bytes, cursor, origin);
    case 5:
      return 4;
    default:
      throw badFile(
        origin,
        `protobuf wire type ${wire} at byte ${cursor.at}: not a SentencePiece model`,
      );
  }
}

/** Keeps the low 32 bits: every field read here is a 32-bit integer, -1 being written as ten bytes. */
function readVarint(bytes: Uint8Array, cursor: { at: number }, origin: string): number {
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[cursor.at];
    if (byte === undefined) {
      throw badFile(origin, `the file ends inside a number at byte ${cursor.at}`);
    }
    cursor.at++;
    if (shift < 32) {
      value |= (byte & 0x7f) << shift;
    }
    if (byte < 0x80) {
      return value;
    }
  }
  throw badFile(origin, `a number longer than ten bytes ends at byte ${cursor.at}`);
}
