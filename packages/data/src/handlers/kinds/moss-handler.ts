/**
 * The handler of whole MOSS dialogues as Baichuan reads them: tokens 195 and 196 stand before questions and answers.
 *
 * Every answer is learned, and where it ends: the label of the token before each question is EOS.
 * Source: MindSpeed-LLM, `MOSSMultiTurnHandler`. Checked against: test/fixtures/handlers.
 */
import { TuneyardError } from '@tuneyard/core';
import { concatenateIds } from '../../encode/concatenate-ids.js';
import { IGNORE_LABEL } from '../../encode/samples.js';
import { DATA_ERRORS } from '../../errors.js';
import { isRejection } from '../conversation.js';
import { type HandlerContext, stopToken } from '../handler-context.js';
import type { RowHandler } from '../row-handler.js';
import { fitRow, LABELED_FIELDS } from './labeled-rows.js';
import { type MossTurn, parseMossTurns } from './moss.js';

const USER_TOKEN = 195;
const ASSISTANT_TOKEN = 196;

/** Opens the handler. Throws: `DATA_NO_STOP_TOKEN`; `DATA_BAD_OPTION` for a vocabulary without the two tokens. */
export function openMossMultiTurnHandler(context: HandlerContext): RowHandler {
  const { name, settings, tokenizer } = context;
  const eos = stopToken(context);
  if (tokenizer.vocabSize <= ASSISTANT_TOKEN) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_BAD_OPTION,
      `${name} writes the tokens ${USER_TOKEN} and ${ASSISTANT_TOKEN}; ${tokenizer.origin} has ${tokenizer.vocabSize}`,
      { details: { handler: name, vocabSize: tokenizer.vocabSize } },
    );
  }
  return {
    name,
    kind: 'instruction',
    fields: LABELED_FIELDS,
    handle: (record, origin) => {
      const turns = parseMossTurns(record);
      if (isRejection(turns)) return turns;
      const parts = turns.map((turn, i) => {
        const isLast = i === turns.length - 1;
        return encodeTurn(turn, {
          ...context,
          eos,
          isLearned: isLast || settings.maskHistory !== true,
        });
      });
      const ids = concatenateIds([...parts.map((part) => part.ids), [eos]]);
      const labels =
        settings.trainOnPrompt === true
          ? ids
          : concatenateIds([...parts.map((part) => part.labels), [eos]]);
      const row = fitRow(ids, labels, { origin, policy: settings });
      return isRejection(row) ? row : [row];
    },
  };
}

function encodeTurn(
  { user, assistant }: MossTurn,
  { tokenizer, eos, isLearned }: HandlerContext & { eos: number; isLearned: boolean },
) {
  const question = tokenizer.encode(user);
  const answer = tokenizer.encode(assistant);
  const masked = (count: number) => new Int32Array(count).fill(IGNORE_LABEL);
  return {
    ids: concatenateIds([[USER_TOKEN], question, [ASSISTANT_TOKEN], answer]),
    labels: isLearned
      ? concatenateIds([[eos], masked(question.length + 1), answer])
      : masked(question.length + answer.length + 2),
  };
}
