/** Handlers that write the fixed English prompt: general, Belle and Leetcode records, and MOSS turn by turn. */

import { isRejection, type Rejection, reject } from '../conversation.js';
import { DEFAULT_COLUMNS } from '../dataset-spec.js';
import { appendedToken, type HandlerContext } from '../handler-context.js';
import { firstRejection, type JsonRecord, optionalText, requiredText } from '../record-fields.js';
import type { HandledRow, RowHandler } from '../row-handler.js';
import { parseBelle } from './belle.js';
import {
  encodeInstruction,
  type InstructionOptions,
  instructionText,
  type PromptTurn,
} from './instruction-prompt.js';
import { fitRow, LABELED_FIELDS } from './labeled-rows.js';
import { parseMossTurns } from './moss.js';
import { stripBlanks } from './strip-blanks.js';

/** Opens the handler of instruction, input and output. */
export function openGeneralHandler(context: HandlerContext): RowHandler {
  const columns = instructionColumns(context);
  return promptHandler(context, appendedToken(context), (record) => {
    const turns = generalTurns(record, columns);
    return isRejection(turns) ? turns : [turns];
  });
}

/** Opens the handler of dialogues written in one text with `Human:` and `Assistant:`. */
export function openBelleHandler(context: HandlerContext): RowHandler {
  const { prompt, response } = instructionColumns(context);
  return promptHandler(context, appendedToken(context), (record) => {
    const turns = parseBelle(record, { prompt, response });
    return isRejection(turns) ? turns : [turns];
  });
}

/** Opens the handler of MOSS dialogues that gives one sample for each answer. */
export function openMossInstructionHandler(context: HandlerContext): RowHandler {
  return promptHandler(context, null, (record) => {
    const turns = parseMossTurns(record);
    if (isRejection(turns)) return turns;
    const dialogue = turns.flatMap(({ user, assistant }): PromptTurn[] => [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ]);
    return turns.map((_, i) => dialogue.slice(0, 2 * i + 2));
  });
}

const CODE_FENCE = '```';

/** Opens the handler of programming problems with code and explanation. */
export function openLeetcodeHandler(context: HandlerContext): RowHandler {
  const { prompt, query, response } = {
    prompt: 'code_with_problem',
    query: 'code_only',
    response: 'explanation_only',
    ...context.names.columns,
  };
  return promptHandler(context, appendedToken(context), (record) => {
    const problem = requiredText(record, prompt);
    const code = requiredText(record, query);
    const explanation = requiredText(record, response);
    const fault = firstRejection(problem, code, explanation);
    if (fault !== undefined) return fault;
    const question = (problem as string).split(CODE_FENCE, 1)[0] ?? '';
    return [
      [
        { role: 'user', content: stripBlanks(question) },
        { role: 'assistant', content: `${code}\n${explanation}` },
      ],
    ];
  });
}

interface InstructionColumns {
  readonly prompt: string;
  readonly query: string;
  readonly response: string;
}

function instructionColumns({ names }: HandlerContext): InstructionColumns {
  return { ...DEFAULT_COLUMNS, ...names.columns };
}

function generalTurns(
  record: JsonRecord,
  { prompt, query, response }: InstructionColumns,
): readonly PromptTurn[] | Rejection {
  const instruction = requiredText(record, prompt);
  const input = optionalText(record, query);
  const output = requiredText(record, response);
  const fault = firstRejection(instruction, input, output);
  if (fault !== undefined) return fault;
  if (stripBlanks(output as string) === '') {
    return reject('empty_answer', `'${response}' is empty`);
  }
  return [
    { role: 'user', content: `${instruction}\n${input}` },
    { role: 'assistant', content: output as string },
  ];
}

/** A handler that encodes each of the dialogues a record gives, every one with its last answer learned. */
function promptHandler(
  { name, tokenizer, settings }: HandlerContext,
  eod: number | null,
  parse: (record: JsonRecord) => readonly (readonly PromptTurn[])[] | Rejection,
): RowHandler {
  const options = { tokenizer, eod, trainOnPrompt: settings.trainOnPrompt === true };
  return {
    name,
    kind: 'instruction',
    fields: LABELED_FIELDS,
    handle: (record, origin) => {
      const dialogues = parse(record);
      if (isRejection(dialogues)) return dialogues;
      const rows: HandledRow[] = [];
      for (const turns of dialogues) {
        const { ids, labels } = encodeInstruction(turns, options);
        const row = fitRow(ids, labels, { origin, policy: settings });
        if (!isRejection(row)) rows.push(row);
        else if (rows.length === 0) return row;
        else return withFullLength(rows, wholeLength(dialogues, options));
      }
      return rows;
    },
  };
}

/** Dialogues of a record grow turn by turn: where one is too long, so are the rest, and the record counts as cut. */
function withFullLength(rows: readonly HandledRow[], fullLength: number): readonly HandledRow[] {
  return rows.map((row, i) => (i === rows.length - 1 ? { ...row, fullLength } : row));
}

function wholeLength(
  dialogues: readonly (readonly PromptTurn[])[],
  { tokenizer, eod }: InstructionOptions,
): number {
  const text = instructionText(dialogues.at(-1) ?? []);
  return tokenizer.encode(text).length + (eod === null ? 0 : 1);
}
