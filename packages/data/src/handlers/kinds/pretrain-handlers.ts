/**
 * Handlers of texts to learn as they are: token ids only, one output for each JSON key.
 *
 * A text is tokenized with what the tokenizer adds around it. Source: MindSpeed-LLM, the pre-training handlers of
 * mindspeed_llm/tasks/preprocess/data_handler.py. Checked against: test/fixtures/handlers.
 */
import { concatenateIds } from '../../encode/concatenate-ids.js';
import { isRejection, type Rejection, reject } from '../conversation.js';
import { appendedToken, type HandlerContext } from '../handler-context.js';
import { recordColumns } from '../record-columns.js';
import {
  firstRejection,
  isJsonRecord,
  type JsonRecord,
  optionalText,
  requiredText,
  wrongType,
} from '../record-fields.js';
import type { RowHandler } from '../row-handler.js';

const TEXT_KEY = 'text';

/** Opens the handler of texts in any columns. */
export function openGeneralPretrainHandler(context: HandlerContext): RowHandler {
  const keys = jsonKeys(context);
  // `prompt` is what dataset_info.json calls the column of a text.
  const named = context.names.columns?.prompt;
  const columns = keys.map((key) => (key === TEXT_KEY ? (named ?? key) : key));
  return textHandler(context, keys, (record, i) => requiredText(record, columns[i] ?? TEXT_KEY));
}

/** Opens the handler of Alpaca records as running text, in the wording that the original has for them. */
export function openAlpacaPretrainHandler(context: HandlerContext): RowHandler {
  const { prompt, query, response } = recordColumns('alpaca', context.names.columns);
  return textHandler(context, [TEXT_KEY], (record) => {
    const instruction = requiredText(record, prompt);
    const input = optionalText(record, query);
    const output = requiredText(record, response);
    const fault = firstRejection(instruction, input, output);
    return fault ?? alpacaText(instruction as string, input as string, output as string);
  });
}

/** The original writes `###None` where there is no input. */
function alpacaText(instruction: string, input: string, output: string): string {
  return (
    'A chat between a curious user and an artificial intelligence assistant. ' +
    "The assistant gives helpful, detailed, and polite answers to the user's questions." +
    'USER: Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
    `### Instruction:\n${instruction}\n\n###${input === '' ? 'None' : ` Input:\n${input}`}\n\n` +
    `### Response: ASSISTANT: ${output}`
  );
}

/** Opens the handler of dialogues as running text: the texts of all turns, end to end. */
export function openShareGptPretrainHandler(context: HandlerContext): RowHandler {
  const keys = jsonKeys(context);
  const { messages } = recordColumns('sharegpt', context.names.columns);
  return textHandler(context, keys, (record, i) => {
    const key = keys[i] ?? TEXT_KEY;
    return turnTexts(record, key === TEXT_KEY && !Object.hasOwn(record, key) ? messages : key);
  });
}

function turnTexts(record: JsonRecord, column: string): string | Rejection {
  const turns = record[column];
  if (turns === undefined || turns === null) {
    const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
    return reject('missing_field', `no field '${column}'; fields found: ${found}`);
  }
  if (!Array.isArray(turns)) return wrongType(column, turns, 'a list of turns');
  let text = '';
  for (const [index, turn] of turns.entries()) {
    const where = `${column}[${index}]`;
    if (!isJsonRecord(turn)) return wrongType(where, turn, 'an object with value or content');
    const value = turn['value'] ?? turn['content'];
    if (typeof value !== 'string') return wrongType(`${where}.value`, value, 'text');
    text += value;
  }
  return text;
}

/** Opens the handler of Stack Overflow questions about Python with an answer. */
export function openStackOverflowHandler(context: HandlerContext): RowHandler {
  return textHandler(context, [TEXT_KEY], (record) => {
    const title = requiredText(record, 'title');
    const question = requiredText(record, 'question_body');
    const answer = requiredText(record, 'answer_body');
    const fault = firstRejection(title, question, answer);
    if (fault !== undefined) return fault;
    return `In python, ${title}\n### Question:\n${question}\n### Response:\n${answer}\n`;
  });
}

function jsonKeys({ settings }: HandlerContext): readonly string[] {
  const keys = settings.jsonKeys ?? [];
  return keys.length === 0 ? [TEXT_KEY] : keys;
}

/** A handler of one text for each key; a record whose texts are all empty is refused. */
function textHandler(
  context: HandlerContext,
  keys: readonly string[],
  read: (record: JsonRecord, key: number) => string | Rejection,
): RowHandler {
  const { name, tokenizer } = context;
  const eod = appendedToken(context);
  return {
    name,
    kind: 'pretrain',
    fields: keys,
    handle: (record) => {
      const fields: Int32Array[] = [];
      for (const key of keys.keys()) {
        const text = read(record, key);
        if (isRejection(text)) return text;
        const ids = text === '' ? new Int32Array(0) : tokenizer.encode(text);
        fields.push(eod === null || text === '' ? ids : concatenateIds([ids, [eod]]));
      }
      const fullLength = fields.reduce((max, ids) => Math.max(max, ids.length), 0);
      return fullLength === 0
        ? reject('empty_text', `${keys.map((key) => `'${key}'`).join(', ')}: no text`)
        : [{ fields, fullLength }];
    },
  };
}
