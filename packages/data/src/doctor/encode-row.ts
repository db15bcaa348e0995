/** Encodes a row as training would, but always learns how long it is before anything is cut. */
import { encodeAnswer, encodePreference } from '../encode/preference.js';
import type { PromptTemplate } from '../encode/prompt-template.js';
import {
  encodeConversation,
  encodeDocument,
  type OverlengthPolicy,
  type SampleEncodeOptions,
} from '../encode/sample-encoder.js';
import type { TokenizedSample } from '../encode/samples.js';
import { type LabeledIds, toTokenizedSample } from '../encode/slot-sample.js';
import { isRejection, type Rejection, type RowOrigin } from '../handlers/conversation.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { ParsedRow } from './parse-row.js';

/** How rows become samples. */
export interface RowEncoding {
  readonly tokenizer: Tokenizer;
  /** Null for raw text. */
  readonly template: PromptTemplate | null;
  /** Ends a raw text. */
  readonly stopTokenId: number;
  readonly cutoffLength: number;
  readonly overlength: OverlengthPolicy;
  readonly maskHistory: boolean;
  readonly trainOnPrompt: boolean;
}

/** What a row gives. */
export interface EncodedRow {
  readonly samples: readonly TokenizedSample[];
  /** Tokens before cutting. */
  readonly fullLength: number;
  readonly isCut: boolean;
}

/** A row that is too long: longer than the cutoff under `drop` and `error`, or with no answer left after cutting. */
export interface OverlongRow {
  readonly overlong: 'over_length' | 'answers_cut_away';
  readonly fullLength: number;
}

/** A cutoff that cuts nothing. */
const UNCUT = 2 ** 30;

/** Encodes one row. */
export function encodeRow(
  row: ParsedRow,
  encoding: RowEncoding,
): EncodedRow | OverlongRow | Rejection {
  if (row.kind === 'text') return encodeText(row, encoding);
  const { cutoffLength, overlength } = encoding;
  const encoded = encodeAt(row, encoding, cutoffLength);
  if (isRejection(encoded)) {
    const uncut = encoded.bucket === 'nothing_learned' ? encodeAt(row, encoding, UNCUT) : encoded;
    if (isRejection(uncut) || uncut.fullLength <= cutoffLength) return encoded;
    const overlong = overlength === 'truncate' ? 'answers_cut_away' : 'over_length';
    return { overlong, fullLength: uncut.fullLength };
  }
  const { fullLength } = encoded;
  const isLong = fullLength > cutoffLength;
  if (isLong && overlength !== 'truncate') return { overlong: 'over_length', fullLength };
  return { ...encoded, isCut: isLong };
}

function encodeText(
  { document }: Extract<ParsedRow, { kind: 'text' }>,
  { tokenizer, stopTokenId, cutoffLength }: RowEncoding,
): EncodedRow {
  const encoded = encodeDocument(document, { tokenizer, stopTokenId, cutoffLength });
  const samples = encoded.map(({ sample }) => sample);
  const fullLength = samples.reduce((sum, { ids }) => sum + ids.length, 0);
  return { samples, fullLength, isCut: false };
}

type Encoded = Pick<EncodedRow, 'samples' | 'fullLength'> | Rejection;

function encodeAt(
  row: Exclude<ParsedRow, { kind: 'text' }>,
  encoding: RowEncoding,
  cutoffLength: number,
): Encoded {
  const { tokenizer, template, maskHistory, trainOnPrompt } = encoding;
  if (template === null) return { samples: [], fullLength: 0 };
  const options: SampleEncodeOptions = {
    tokenizer,
    template,
    cutoffLength,
    overlength: 'truncate',
  };
  if (row.kind === 'pair') {
    const encoded = encodePreference(row.pair, options);
    if (isRejection(encoded)) return encoded;
    const { chosen, rejected, fullLength } = encoded;
    return { samples: [chosen, rejected].map((side) => sampleOf(side, row.pair)), fullLength };
  }
  if (row.liked !== undefined) {
    const encoded = encodeAnswer(row.conversation, options);
    if (isRejection(encoded)) return encoded;
    return { samples: [sampleOf(encoded, row.conversation)], fullLength: encoded.fullLength };
  }
  // Its media are examined apart; here placeholders are words, as long as each other.
  const { media: _, ...text } = row.conversation;
  const encoded = encodeConversation(text, { ...options, maskHistory, trainOnPrompt });
  if (isRejection(encoded)) return encoded;
  return { samples: [encoded.sample], fullLength: encoded.fullLength };
}

function sampleOf(labeled: LabeledIds, { source, row }: RowOrigin): TokenizedSample {
  return toTokenizedSample(labeled, { source, row });
}
