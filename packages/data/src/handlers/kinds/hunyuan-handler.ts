/**
 * The handler of dialogues for Hunyuan-Large, written by the model's own chat template.
 *
 * Learned is what stands between the tokens `<|extra_0|>`, which ends a question, and `<|eos|>`, both included.
 * Source: MindSpeed-LLM, `HunyuanInstructionHandler`. Checked against: test/fixtures/handlers. One deviation: the original
 * takes turns in threes, system, user and assistant; here dialogues are as for every other handler.
 */
import { TuneyardError } from '@tuneyard/core';
import { concatenateIds } from '../../encode/concatenate-ids.js';
import type { TextPromptTemplate } from '../../encode/prompt-template.js';
import { IGNORE_LABEL } from '../../encode/samples.js';
import { DATA_ERRORS } from '../../errors.js';
import { isRejection } from '../conversation.js';
import { dialogueParser } from '../dialogue-record.js';
import { appendedToken, type HandlerContext } from '../handler-context.js';
import type { RowHandler } from '../row-handler.js';
import { fitRow, LABELED_FIELDS } from './labeled-rows.js';
import { writableDialogue } from './writable-dialogue.js';

const BEGIN = '<|extra_0|>';
const END = '<|eos|>';

/**
 * Opens the handler. Throws: `DATA_BAD_OPTION` without the model's own template, `DATA_TEMPLATE_MISMATCH` for a
 * vocabulary without the two tokens.
 */
export function openHunyuanHandler(context: HandlerContext): RowHandler {
  const { name, settings, tokenizer } = context;
  const template = ownTemplate(context);
  const parse = dialogueParser('sharegpt', context.names);
  const range = { begin: tokenId(BEGIN, context), end: tokenId(END, context) };
  const eod = appendedToken(context);
  return {
    name,
    kind: 'instruction',
    fields: LABELED_FIELDS,
    handle: (record, origin) => {
      const dialogue = writableDialogue(parse(record), template);
      if (isRejection(dialogue)) return dialogue;
      const segments = template.renderDialogue(dialogue);
      if (isRejection(segments)) return segments;
      const text = segments.map((segment) => ('text' in segment ? segment.text : '')).join('');
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      const labels = settings.trainOnPrompt === true ? ids : labelRanges(ids, range);
      const end = eod === null ? [] : [[eod]];
      const row = fitRow(concatenateIds([ids, ...end]), concatenateIds([labels, ...end]), {
        origin,
        policy: settings,
      });
      return isRejection(row) ? row : [row];
    },
  };
}

/** Learns from each begin token to the end token of the same number. */
function labelRanges(
  ids: Int32Array,
  range: { readonly begin: number; readonly end: number },
): Int32Array {
  const labels = new Int32Array(ids.length).fill(IGNORE_LABEL);
  let begin = ids.indexOf(range.begin);
  let end = ids.indexOf(range.end);
  while (begin >= 0 && end >= 0) {
    if (end >= begin) labels.set(ids.subarray(begin, end + 1), begin);
    begin = ids.indexOf(range.begin, begin + 1);
    end = ids.indexOf(range.end, end + 1);
  }
  return labels;
}

function ownTemplate({ name, template }: HandlerContext): TextPromptTemplate {
  if (template?.form === 'text') return template;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `${name} writes dialogues with the model's own chat template; found ${template?.name ?? 'none'}`,
    { details: { handler: name }, hint: 'Set template: auto.' },
  );
}

function tokenId(token: string, { name, tokenizer }: HandlerContext): number {
  const id = tokenizer.tokenToId(token);
  if (id !== undefined) return id;
  throw new TuneyardError(
    DATA_ERRORS.DATA_TEMPLATE_MISMATCH,
    `${name} learns between ${BEGIN} and ${END}; ${tokenizer.origin} does not have ${token}`,
    {
      details: { handler: name, token },
      hint: 'It is for Hunyuan-Large; other models take SharegptStyleInstructionHandler.',
    },
  );
}
