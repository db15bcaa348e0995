/**
 * Handlers of dialogues that a prompt template writes: every answer is learned, or the last one alone.
 *
 * Ids and labels are those of the template's encoder; see encode/sample-encoder.ts.
 */
import { concatenateIds } from '../../encode/concatenate-ids.js';
import {
  type EncodedSample,
  encodeConversation,
  type SampleEncodeOptions,
} from '../../encode/sample-encoder.js';
import { type Conversation, isRejection, type Rejection, type RowOrigin } from '../conversation.js';
import { anyDialogueParser, type DialogueParser, dialogueParser } from '../dialogue-record.js';
import { appendedToken, encodeOptions, type HandlerContext } from '../handler-context.js';
import type { DialogueForm } from '../record-columns.js';
import type { HandledRow, RowHandler } from '../row-handler.js';
import { fitRow, LABELED_FIELDS, labelsOf, sampleRow } from './labeled-rows.js';
import { writableDialogue } from './writable-dialogue.js';

/** Opens a handler of dialogues; form null = each record shows its own. */
export function openDialogueHandler(
  context: HandlerContext,
  form: DialogueForm | null,
): RowHandler {
  const parse = parserOf(context, form);
  const options = encodeOptions(context);
  const eod = appendedToken(context);
  return {
    name: context.name,
    kind: 'instruction',
    fields: LABELED_FIELDS,
    handle: (record, origin) => {
      const dialogue = writableDialogue(parse(record), options.template);
      if (isRejection(dialogue)) return dialogue;
      const conversation = { kind: 'conversation', ...origin, ...dialogue } as const;
      const row =
        eod === null
          ? plainRow(conversation, options)
          : endedRow(conversation, options, { eod, origin });
      return isRejection(row) ? row : [row];
    },
  };
}

/** The parser of a form; null = each record shows its own. */
export function parserOf(context: HandlerContext, form: DialogueForm | null): DialogueParser {
  return form === null ? anyDialogueParser(context.names) : dialogueParser(form, context.names);
}

function plainRow(
  conversation: Conversation,
  options: SampleEncodeOptions,
): HandledRow | Rejection {
  const encoded = encodeConversation(conversation, options);
  return isRejection(encoded) ? encoded : sampleRow(encoded);
}

/** The token at the end counts against the cutoff; where a dialogue is cut, it is cut one token earlier. */
function endedRow(
  conversation: Conversation,
  options: SampleEncodeOptions,
  { eod, origin }: { readonly eod: number; readonly origin: RowOrigin },
): HandledRow | Rejection {
  const { cutoffLength } = options;
  const encoded = encodeConversation(conversation, options);
  if (isRejection(encoded)) return encoded;
  if (encoded.fullLength < cutoffLength) return sampleRow(withEnd(encoded, eod));
  if (options.overlength !== 'truncate') {
    const { ids, labels } = ended(encoded, eod);
    return fitRow(ids, labels, { origin, policy: options });
  }
  const cut = encodeConversation(conversation, { ...options, cutoffLength: cutoffLength - 1 });
  return isRejection(cut) ? cut : sampleRow(withEnd(cut, eod));
}

function withEnd(encoded: EncodedSample, eod: number): EncodedSample {
  const { ids, labels } = ended(encoded, eod);
  const learned = Uint8Array.from([...encoded.sample.learned, 1]);
  return {
    sample: { ...encoded.sample, ids, learned, labels },
    fullLength: encoded.fullLength + 1,
  };
}

function ended({ sample }: EncodedSample, eod: number) {
  const end = Int32Array.of(eod);
  return {
    ids: concatenateIds([sample.ids, end]),
    labels: concatenateIds([labelsOf(sample), end]),
  };
}
