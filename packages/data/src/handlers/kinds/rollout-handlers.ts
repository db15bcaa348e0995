/**
 * Handlers of prompts that a model answers by itself in reinforcement learning: questions without the last answer.
 *
 * Outputs carry the names of fine-tuning files, `<prefix>_packed_input_ids_document` and so on, and no labels to learn.
 * Source: MindSpeed-LLM, `PPOAlpacaStyleInstructionHandler` and the R1 handlers. Checked against: test/fixtures/handlers.
 * Deviation: a prompt that is too long is refused under every policy, because one that is cut asks something else.
 */
import { concatenateIds } from '../../encode/concatenate-ids.js';
import type { PromptTemplate } from '../../encode/prompt-template.js';
import { checkLength } from '../../encode/sample-encoder.js';
import { tokenizeSegments } from '../../encode/segments.js';
import type { TokenTurn } from '../../encode/truncate.js';
import type { Tokenizer } from '../../tokenizer/tokenizer.js';
import type { ParsedDialogue } from '../alpaca.js';
import { isRejection, type Rejection } from '../conversation.js';
import { dialogueParser } from '../dialogue-record.js';
import { type HandlerContext, requiredTemplate } from '../handler-context.js';
import type { DialogueForm } from '../record-columns.js';
import { requiredText } from '../record-fields.js';
import type { RowHandler } from '../row-handler.js';
import { writableDialogue } from './writable-dialogue.js';

/** The key that stands for the last answer of a record. */
const ANSWER_KEY = 'labels';

/** Opens the handler of prompts for PPO. As in the original, earlier answers are left out too. */
export function openPpoHandler(context: HandlerContext): RowHandler {
  return promptHandler(context, 'alpaca', (turns) => turns.map(({ source }) => source));
}

/** Opens a handler of prompts with earlier answers, and of further columns as tokens. */
export function openR1Handler(context: HandlerContext, form: DialogueForm): RowHandler {
  return promptHandler(context, form, (turns) =>
    turns.flatMap(({ source, target }, i) =>
      i === turns.length - 1 ? [source] : [source, target],
    ),
  );
}

function promptHandler(
  context: HandlerContext,
  form: DialogueForm,
  promptOf: (turns: readonly TokenTurn[]) => readonly Int32Array[],
): RowHandler {
  const { name, names, settings } = context;
  const template = requiredTemplate(context);
  const tokenizer = template.form === 'slots' ? template.tokenizer : context.tokenizer;
  const parse = dialogueParser(form, names);
  const extraKeys = settings.additionalKeys ?? [];
  const policy = settings.overlength === 'truncate' ? 'drop' : settings.overlength;
  return {
    name,
    kind: 'pretrain',
    fields: ['input_ids', 'attention_mask', ...extraKeys].map((field) => `packed_${field}`),
    handle: (record, origin) => {
      const parsed = writableDialogue(parse(record), template);
      if (isRejection(parsed)) return parsed;
      const turns = tokenTurns(parsed, template, tokenizer);
      if (isRejection(turns)) return turns;
      const ids = concatenateIds(promptOf(turns));
      const { cutoffLength } = settings;
      const refused = checkLength(origin, ids.length, { cutoffLength, overlength: policy });
      if (refused !== undefined) return refused;
      const fields = [ids, new Int32Array(ids.length).fill(1)];
      for (const key of extraKeys) {
        const text = key === ANSWER_KEY ? lastAnswer(parsed) : requiredText(record, key);
        if (isRejection(text)) return text;
        fields.push(tokenizer.encode(text, { addSpecialTokens: false }));
      }
      const fullLength = fields.reduce((max, field) => Math.max(max, field.length), 0);
      return [{ fields, fullLength }];
    },
  };
}

function lastAnswer({ messages }: ParsedDialogue): string {
  return messages.at(-1)?.content ?? '';
}

function tokenTurns(
  dialogue: ParsedDialogue,
  template: PromptTemplate,
  tokenizer: Tokenizer,
): readonly TokenTurn[] | Rejection {
  if (template.form === 'slots') return template.encodeTurns(dialogue);
  const segments = template.renderDialogue(dialogue);
  if (isRejection(segments)) return segments;
  const turns: TokenTurn[] = [];
  let source = new Int32Array(0);
  for (const { ids, learned } of tokenizeSegments(segments, tokenizer)) {
    if (learned) turns.push({ source, target: ids });
    source = learned ? new Int32Array(0) : Int32Array.from(ids);
  }
  return turns;
}
