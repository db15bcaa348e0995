/** Belle records: a whole dialogue in `instruction`, turns marked `Human:` and `Assistant:`. */
import { isRejection, type Rejection, reject } from '../conversation.js';
import { type JsonRecord, requiredText } from '../record-fields.js';
import type { PromptTurn } from './instruction-prompt.js';
import { stripBlanks } from './strip-blanks.js';

const HUMAN = 'Human:';
const ASSISTANT = 'Assistant:';

/**
 * Splits a Belle dialogue into turns; what stands after the last `Assistant:` is replaced by the answer.
 *
 * Refused, where the original writes a question as an answer or loses text without a word: a question without
 * `Assistant:` after it, two answers in a row, text in front of the first `Human:`.
 */
export function parseBelle(
  record: JsonRecord,
  { prompt, response }: { readonly prompt: string; readonly response: string },
): readonly PromptTurn[] | Rejection {
  const text = requiredText(record, prompt);
  if (isRejection(text)) return text;
  const answer = requiredText(record, response);
  if (isRejection(answer)) return answer;
  if (stripBlanks(answer) === '') return reject('empty_answer', `'${response}' is empty`);
  const [opening = '', ...rounds] = text.split(HUMAN);
  if (stripBlanks(opening) !== '') {
    return reject('wrong_role_order', `'${prompt}' begins with text before '${HUMAN}'`);
  }
  if (rounds.length === 0) return reject('no_messages', `'${prompt}' has no '${HUMAN}'`);
  const turns: PromptTurn[] = [];
  for (const [index, round] of rounds.entries()) {
    const [question = '', reply, ...more] = round.split(ASSISTANT);
    if (reply === undefined || more.length > 0) {
      const found = reply === undefined ? 'has none' : 'has several';
      const where = `'${prompt}', question ${index + 1},`;
      return reject('wrong_role_order', `${where} ${found}; expected one '${ASSISTANT}' after it`);
    }
    turns.push({ role: 'user', content: stripBlanks(question) });
    turns.push({ role: 'assistant', content: stripBlanks(reply) });
  }
  return [...turns.slice(0, -1), { role: 'assistant', content: stripBlanks(answer) }];
}
