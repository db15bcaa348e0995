/**
 * The handlers by name. Names are those of MindSpeed-LLM where it has the handler; short ones are aliases.
 *
 * Deviations from the original, on purpose:
 * - An unknown name is an error; there it means GeneralPretrainHandler without a word.
 * - A dialogue with turns out of order, without an answer or with an empty one is refused with its place in the record;
 *   there an empty question with an empty answer takes its place, or it is dropped with a line in the log.
 * - History, system and tools are read under their usual names; there only when they are mapped.
 * - Tools and calls are written for every template that can; there glm4 leaves tools out and qwen3 fails on them, and
 *   `tool_calls` reach one template alone.
 * - Rows that are too long meet the length policy; there they are skipped from the sequence length on.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { nearestNames } from '../nearest-names.js';
import type { DatasetFormat } from './dataset-spec.js';
import type { HandlerContext } from './handler-context.js';
import { openDialogueHandler } from './kinds/dialogue-handlers.js';
import { openHunyuanHandler } from './kinds/hunyuan-handler.js';
import {
  openBelleHandler,
  openGeneralHandler,
  openLeetcodeHandler,
  openMossInstructionHandler,
} from './kinds/instruction-handlers.js';
import { openMossMultiTurnHandler } from './kinds/moss-handler.js';
import { openKtoHandler, openPairwiseHandler } from './kinds/preference-handlers.js';
import {
  openAlpacaPretrainHandler,
  openGeneralPretrainHandler,
  openShareGptPretrainHandler,
  openStackOverflowHandler,
} from './kinds/pretrain-handlers.js';
import { openPpoHandler, openR1Handler } from './kinds/rollout-handlers.js';
import type { HandlerKind, RowHandler } from './row-handler.js';

/** What a listing says about a handler. */
export interface HandlerDescription {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly kind: HandlerKind;
  /** The fields of a record that it reads. */
  readonly record: string;
  /** What is learned of it, in a phrase. */
  readonly summary: string;
  /** True when dialogues are written with a prompt template. */
  readonly needsTemplate: boolean;
}

/** A row of the table. */
interface HandlerEntry extends HandlerDescription {
  readonly open: (context: HandlerContext) => RowHandler;
}

const ALPACA = 'instruction, input, output, system, history, tools';
const SHAREGPT = 'conversations [from, value], system, tools';
const OPENAI = 'messages [role, content, tool_calls], system, tools';

const PRETRAIN = { kind: 'pretrain', needsTemplate: false } as const;
const PROMPT = { kind: 'instruction', needsTemplate: false } as const;
const DIALOGUE = { kind: 'instruction', needsTemplate: true } as const;
const PAIRWISE = { kind: 'pairwise', needsTemplate: true } as const;
const KTO = { kind: 'kto', needsTemplate: true } as const;
/** Fields that are data sets of their own, as for texts. */
const ROLLOUT = { kind: 'pretrain', needsTemplate: true } as const;

const HANDLERS: readonly HandlerEntry[] = [
  {
    ...PRETRAIN,
    name: 'GeneralPretrainHandler',
    aliases: ['pretrain', 'text'],
    record: 'text, or the columns of json-keys',
    summary: 'texts as they are',
    open: openGeneralPretrainHandler,
  },
  {
    ...PRETRAIN,
    name: 'AlpacaPretrainHandler',
    aliases: ['alpaca-pretrain'],
    record: 'instruction, input, output',
    summary: 'the three fields as one English text',
    open: openAlpacaPretrainHandler,
  },
  {
    ...PRETRAIN,
    name: 'SharegptPretrainHandler',
    aliases: ['sharegpt-pretrain'],
    record: 'conversations [value or content], or the columns of json-keys',
    summary: 'the texts of all turns end to end',
    open: openShareGptPretrainHandler,
  },
  {
    ...PRETRAIN,
    name: 'StackOverflowPythonPretrainHandler',
    aliases: ['stackoverflow-python'],
    record: 'title, question_body, answer_body',
    summary: 'question and answer as one text',
    open: openStackOverflowHandler,
  },
  {
    ...PROMPT,
    name: 'GeneralInstructionHandler',
    aliases: ['general'],
    record: 'instruction, input, output',
    summary: 'the answer, after a fixed English prompt',
    open: openGeneralHandler,
  },
  {
    ...PROMPT,
    name: 'BelleMultiTurnInstructionHandler',
    aliases: ['belle'],
    record: 'instruction with Human: and Assistant:, output',
    summary: 'the last answer, after a fixed English prompt',
    open: openBelleHandler,
  },
  {
    ...PROMPT,
    name: 'MOSSInstructionHandler',
    aliases: ['moss'],
    record: 'chat {turn_1 {Human, MOSS}}',
    summary: 'each answer in a sample of its own with the turns before it',
    open: openMossInstructionHandler,
  },
  {
    ...PROMPT,
    name: 'MOSSMultiTurnHandler',
    aliases: ['moss-multi-turn'],
    record: 'chat {turn_1 {Human, MOSS}}',
    summary: 'every answer, in the token form of Baichuan',
    open: openMossMultiTurnHandler,
  },
  {
    ...PROMPT,
    name: 'LeetcodePythonInstructionHandler',
    aliases: ['leetcode-python'],
    record: 'code_with_problem, code_only, explanation_only',
    summary: 'code and explanation, after a fixed English prompt',
    open: openLeetcodeHandler,
  },
  {
    ...DIALOGUE,
    name: 'LlamaFactoryInstructionHandler',
    aliases: ['auto'],
    record: 'Alpaca, ShareGPT or OpenAI, as each record shows',
    summary: 'every answer',
    open: (context) => openDialogueHandler(context, null),
  },
  {
    ...DIALOGUE,
    name: 'AlpacaStyleInstructionHandler',
    aliases: ['alpaca'],
    record: ALPACA,
    summary: 'every answer, those of the history too',
    open: (context) => openDialogueHandler(context, 'alpaca'),
  },
  {
    ...DIALOGUE,
    name: 'SharegptStyleInstructionHandler',
    aliases: ['sharegpt'],
    record: SHAREGPT,
    summary: 'every answer and function call',
    open: (context) => openDialogueHandler(context, 'sharegpt'),
  },
  {
    ...DIALOGUE,
    name: 'OpenAIInstructionHandler',
    aliases: ['openai'],
    record: OPENAI,
    summary: 'every answer and tool call',
    open: (context) => openDialogueHandler(context, 'openai'),
  },
  {
    ...DIALOGUE,
    name: 'HunyuanInstructionHandler',
    aliases: ['hunyuan'],
    record: SHAREGPT,
    summary: 'every answer, by the chat template of Hunyuan-Large',
    open: openHunyuanHandler,
  },
  {
    ...PAIRWISE,
    name: 'AlpacaStylePairwiseHandler',
    aliases: ['alpaca-pairwise'],
    record: 'instruction, input, chosen, rejected, system, history',
    summary: 'two answers to one question',
    open: (context) => openPairwiseHandler(context, 'alpaca'),
  },
  {
    ...PAIRWISE,
    name: 'SharegptStylePairwiseHandler',
    aliases: ['sharegpt-pairwise'],
    record: 'conversations [from, value], chosen {from, value}, rejected {from, value}',
    summary: 'two answers to the last question',
    open: (context) => openPairwiseHandler(context, 'sharegpt'),
  },
  {
    ...PAIRWISE,
    name: 'OpenAIPairwiseHandler',
    aliases: ['openai-pairwise'],
    record: 'messages [role, content], chosen {role, content}, rejected {role, content}',
    summary: 'two answers to the last question',
    open: (context) => openPairwiseHandler(context, 'openai'),
  },
  {
    ...KTO,
    name: 'AlpacaStyleKtoHandler',
    aliases: ['alpaca-kto'],
    record: `${ALPACA}, kto_tag`,
    summary: 'the last answer, liked or not',
    open: (context) => openKtoHandler(context, 'alpaca'),
  },
  {
    ...KTO,
    name: 'SharegptStyleKtoHandler',
    aliases: ['sharegpt-kto'],
    record: `${SHAREGPT}, kto_tag`,
    summary: 'the last answer, liked or not',
    open: (context) => openKtoHandler(context, 'sharegpt'),
  },
  {
    ...KTO,
    name: 'OpenAIKtoHandler',
    aliases: ['openai-kto'],
    record: `${OPENAI}, kto_tag`,
    summary: 'the last answer, liked or not',
    open: (context) => openKtoHandler(context, 'openai'),
  },
  {
    ...ROLLOUT,
    name: 'PPOAlpacaStyleInstructionHandler',
    aliases: ['ppo'],
    record: ALPACA,
    summary: 'nothing; the questions alone, for a model to answer',
    open: openPpoHandler,
  },
  {
    ...ROLLOUT,
    name: 'R1AlpacaStyleInstructionHandler',
    aliases: ['r1-alpaca'],
    record: ALPACA,
    summary: 'nothing; the dialogue without its last answer, and further columns',
    open: (context) => openR1Handler(context, 'alpaca'),
  },
  {
    ...ROLLOUT,
    name: 'R1SharegptStyleInstructionHandler',
    aliases: ['r1-sharegpt'],
    record: SHAREGPT,
    summary: 'nothing; the dialogue without its last answer, and further columns',
    open: (context) => openR1Handler(context, 'sharegpt'),
  },
];

/** Canonical names of the handlers. */
export const HANDLER_NAMES: readonly string[] = HANDLERS.map(({ name }) => name);

/** What each handler reads and learns. */
export function describeHandlers(): readonly HandlerDescription[] {
  return HANDLERS.map(({ open: _, ...description }) => description);
}

/** What one handler reads and learns, by its name or an alias. Throws: `DATA_UNKNOWN_HANDLER`. */
export function describeHandler(name: string): HandlerDescription {
  const { open: _, ...description } = findHandler(name);
  return description;
}

/** Finds a handler by its name or an alias. Throws: `DATA_UNKNOWN_HANDLER` with the nearest names. */
export function findHandler(name: string): HandlerEntry {
  const found = HANDLERS.find((entry) => entry.name === name || entry.aliases.includes(name));
  if (found !== undefined) return found;
  const near = nearestNames(
    name,
    HANDLERS.flatMap((entry) => [entry.name, ...entry.aliases]),
  );
  throw new TuneyardError(
    DATA_ERRORS.DATA_UNKNOWN_HANDLER,
    `There is no handler '${name}'; handlers are ${HANDLER_NAMES.join(', ')}`,
    {
      details: { handler: name },
      hint:
        near.length === 0
          ? 'tuneyard data handlers lists them with their records.'
          : `Did you mean ${near.join(' or ')}? tuneyard data handlers lists all.`,
    },
  );
}

/** The handler for records of a form; `auto` looks at each record. */
export function handlerNameFor(
  format: DatasetFormat,
  task: 'instruction' | 'pairwise' | 'kto',
): string {
  if (format === 'text') return 'GeneralPretrainHandler';
  const isPreference = task !== 'instruction';
  const form = format === 'auto' && isPreference ? 'alpaca' : format;
  return findHandler(isPreference ? `${form}-${task}` : form).name;
}
