/**
 * Named prompt templates as text slots, for models whose files carry no chat template and for recipes that
 * name one.
 *
 * Pure data. Names and texts follow LLaMA-Factory v0.9.3, with one difference: a line feed after the stop
 * token is not learned. Where a model has a template of its own, `auto` is the better choice.
 */

/** `{content}` is the turn's text; `{bos}` and `{eos}` stand for the model's tokens. */
export interface SlotTemplate {
  readonly name: string;
  /** Once, in front of everything. */
  readonly prefix: string;
  /** `null`: the system text goes in front of the first user text with a blank line between. */
  readonly system: string | null;
  readonly user: string;
  readonly answer: string;
  /** Masked text after an answer's stop token. */
  readonly answerTail: string;
  /** The stop token's text; `{eos}` for the model's. */
  readonly stop: string;
  /** Used where a record has no system text. */
  readonly defaultSystem: string;
  /** `blank`: one blank between question and answer unless one is there. */
  readonly join: 'restart' | 'blank';
}

const base = {
  prefix: '',
  system: '{content}',
  answer: '{content}',
  answerTail: '',
  stop: '{eos}',
  defaultSystem: '',
  join: 'restart',
} as const;

const chatml = {
  ...base,
  system: '<|im_start|>system\n{content}<|im_end|>\n',
  user: '<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n',
  answerTail: '\n',
  stop: '<|im_end|>',
} as const;

const TEMPLATES: readonly SlotTemplate[] = [
  { ...base, name: 'plain', system: '{content} ', user: '{content}', join: 'blank' },
  { ...base, name: 'empty', user: '{content}' },
  {
    ...base,
    name: 'default',
    system: 'System: {content}{eos}\n',
    user: 'Human: {content}{eos}\nAssistant:',
  },
  {
    ...base,
    name: 'alpaca',
    system: '{content}\n\n',
    user: '### Instruction:\n{content}\n\n### Response:\n',
    answerTail: '\n\n',
  },
  { ...chatml, name: 'chatml' },
  { ...chatml, name: 'yi' },
  {
    ...chatml,
    name: 'qwen',
    defaultSystem: 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.',
  },
  {
    ...base,
    name: 'llama3',
    prefix: '{bos}',
    system: '<|start_header_id|>system<|end_header_id|>\n\n{content}<|eot_id|>',
    user:
      '<|start_header_id|>user<|end_header_id|>\n\n{content}<|eot_id|>' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n',
    stop: '<|eot_id|>',
  },
  {
    ...base,
    name: 'gemma',
    prefix: '{bos}',
    system: null,
    user: '<start_of_turn>user\n{content}<end_of_turn>\n<start_of_turn>model\n',
    answerTail: '\n',
    stop: '<end_of_turn>',
  },
  {
    ...base,
    name: 'mistral',
    prefix: '{bos}',
    system: null,
    user: '[INST] {content}[/INST]',
    answer: ' {content}',
  },
  {
    ...base,
    name: 'deepseek3',
    prefix: '{bos}',
    system: '{content}',
    user: '<｜User｜>{content}<｜Assistant｜>',
  },
];

/** Every slot template by name. */
export const SLOT_TEMPLATES: ReadonlyMap<string, SlotTemplate> = new Map(
  TEMPLATES.map((template) => [template.name, template]),
);
