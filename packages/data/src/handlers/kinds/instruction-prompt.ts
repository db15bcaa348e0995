/**
 * The fixed English prompt of the general instruction handlers, and its mask.
 *
 * The text is tokenized as a whole, with what the tokenizer adds. Masked are as many tokens as the text up to and
 * with the last `### Response:` line has when it is tokenized by itself. That is the original's rule, and where an
 * answer holds the marker itself the part of it in front of that is masked too.
 *
 * Source: MindSpeed-LLM, `Prompter` and `AlpacaTemplate` in mindspeed_llm/tasks/preprocess/templates.py (Apache-2.0):
 * the wording of the prompt is the interface that models were tuned with. Checked against: test/fixtures/handlers.
 */
import { concatenateIds } from '../../encode/concatenate-ids.js';
import { IGNORE_LABEL } from '../../encode/samples.js';
import type { Tokenizer } from '../../tokenizer/tokenizer.js';

/** One turn of the prompt. */
export interface PromptTurn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

const OPENING =
  'Below is an instruction that describes a task, paired with an input that provides further context. ' +
  'Write a response that appropriately completes the request. ' +
  'Please note that you need to think through your response logically and step by step.';
const USER = '### Instruction:';
const ASSISTANT = '### Response:';

/** Writes turns as the prompt's text. */
export function instructionText(turns: readonly PromptTurn[]): string {
  const lines = turns.map(({ role, content }) => {
    return `${role === 'user' ? USER : ASSISTANT}\n${content}\n`;
  });
  return `\n${OPENING}\n${lines.join('')}`;
}

/** How a prompt is encoded. */
export interface InstructionOptions {
  readonly tokenizer: Tokenizer;
  /** Appended and learned; null = nothing is. */
  readonly eod: number | null;
  readonly trainOnPrompt: boolean;
}

/** Encodes turns that end with an answer; only that answer is learned. */
export function encodeInstruction(
  turns: readonly PromptTurn[],
  { tokenizer, eod, trainOnPrompt }: InstructionOptions,
): { readonly ids: Int32Array; readonly labels: Int32Array } {
  const text = instructionText(turns);
  const encoded = tokenizer.encode(text);
  const ids = eod === null ? encoded : concatenateIds([encoded, [eod]]);
  const labels = Int32Array.from(ids);
  if (!trainOnPrompt) {
    const prompt = `${text.slice(0, text.lastIndexOf(ASSISTANT))}${ASSISTANT}\n`;
    labels.fill(IGNORE_LABEL, 0, tokenizer.encode(prompt).length);
  }
  return { ids, labels };
}
