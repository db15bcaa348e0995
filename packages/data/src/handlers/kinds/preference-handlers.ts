/**
 * Handlers of preferences. The question is masked, the answers are learned.
 *
 * Ids and labels are those of encode/preference.ts.
 */
import { TuneyardError } from '@tuneyard/core';
import { encodeAnswer, encodePreference, type PreferenceOptions } from '../../encode/preference.js';
import { DATA_ERRORS } from '../../errors.js';
import { isRejection } from '../conversation.js';
import { dialogueParser } from '../dialogue-record.js';
import { encodeOptions, type HandlerContext } from '../handler-context.js';
import { ktoTag, preferenceParser } from '../preference-records.js';
import { type DialogueForm, recordColumns } from '../record-columns.js';
import type { RowHandler } from '../row-handler.js';
import { withThought, writableDialogue } from './writable-dialogue.js';

/** Opens a handler of two answers to one question. */
export function openPairwiseHandler(context: HandlerContext, form: DialogueForm): RowHandler {
  const options = preferenceOptions(context);
  const parse = preferenceParser(form, context.names);
  return {
    name: context.name,
    kind: 'pairwise',
    fields: ['chosen_input_ids', 'chosen_labels', 'rejected_input_ids', 'rejected_labels'],
    handle: (record, origin) => {
      const parsed = writableDialogue(parse(record), options.template);
      if (isRejection(parsed)) return parsed;
      const hasOwnFields = options.template.form === 'text';
      const chosen = hasOwnFields ? parsed.chosen : withThought(parsed.chosen);
      const rejected = hasOwnFields ? parsed.rejected : withThought(parsed.rejected);
      const encoded = encodePreference({ ...parsed, ...origin, chosen, rejected }, options);
      if (isRejection(encoded)) return encoded;
      const fields = [encoded.chosen, encoded.rejected].flatMap(({ ids, labels }) => [ids, labels]);
      return [{ fields, fullLength: encoded.fullLength }];
    },
  };
}

/** Opens a handler of answers that are liked or not; `kto_tags` is 1 or 0. */
export function openKtoHandler(context: HandlerContext, form: DialogueForm): RowHandler {
  const options = preferenceOptions(context);
  const parse = dialogueParser(form, context.names);
  const column = recordColumns(form, context.names.columns).kto_tag;
  return {
    name: context.name,
    kind: 'kto',
    fields: ['input_ids', 'labels', 'kto_tags'],
    handle: (record, origin) => {
      const dialogue = writableDialogue(parse(record), options.template);
      if (isRejection(dialogue)) return dialogue;
      const isLiked = ktoTag(record, column);
      if (isRejection(isLiked)) return isLiked;
      const encoded = encodeAnswer({ ...dialogue, ...origin }, options);
      if (isRejection(encoded)) return encoded;
      const tag = Int32Array.of(isLiked ? 1 : 0);
      return [{ fields: [encoded.ids, encoded.labels, tag], fullLength: encoded.fullLength }];
    },
  };
}

/** Throws: `DATA_BAD_OPTION` for settings that preferences have no use for. */
function preferenceOptions(context: HandlerContext): PreferenceOptions {
  const { maskHistory, trainOnPrompt } = context.settings;
  const given = Object.entries({ maskHistory, trainOnPrompt }).find(([, on]) => on);
  if (given !== undefined) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_BAD_OPTION,
      `${context.name} learns the answers to the last question alone; ${given[0]} cannot be set`,
      { details: { handler: context.name, option: given[0] } },
    );
  }
  const { tokenizer, template, cutoffLength, overlength = 'drop' } = encodeOptions(context);
  return { tokenizer, template, cutoffLength, overlength };
}
