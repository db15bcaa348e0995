/**
 * Chat templates for models that bring none, by the names LLaMA-Factory users know.
 *
 * Each renders like LLaMA-Factory v0.9.3's template of that name, with two differences: there is a
 * line break between turns where its tables leave one out only because the next turn brings it, and
 * no default system text except where the model family has one. Every one of them is
 * prefix-preserving, so answers can be told apart from prompts in any conversation they accept.
 */

import { TuneyardError } from '@tuneyard/core';
import { nearestNames } from '../nearest-names.js';
import { ChatTemplate, type TemplateVariables } from './chat-template.js';
import { TEMPLATE_ERRORS } from './errors.js';

interface Turns {
  /** Jinja text before the first turn. */
  readonly start?: string;
  /** What a turn of each role writes; `text` is the content. Absent roles are refused. */
  readonly system: string;
  readonly user: string;
  readonly assistant: string;
  readonly tool?: string;
  /** What asks for an answer; also what stands between the user's turn and the answer. */
  readonly prompt: string;
}

/** Puts the system text into the first user turn, where a format has no place of its own for it. */
const SYSTEM_IN_USER = '{%- set ns.system = text -%}';

/** One loop over the messages, a branch per role. */
function turns(format: Turns): string {
  const branch = (role: string, body: string) => `{%- elif message['role'] == '${role}' -%}${body}`;
  return [
    `{%- set ns = namespace(system='') -%}`,
    format.start ?? '',
    `{%- for message in messages -%}{%- set text = message['content'] -%}`,
    `{%- if message['role'] == 'system' -%}${format.system}`,
    branch('user', `${format.user}{%- set ns.system = '' -%}`),
    branch('assistant', `${format.prompt}${format.assistant}`),
    format.tool === undefined ? '' : branch('tool', format.tool),
    `{%- else -%}{{- raise_exception('Unknown role: ' + message['role']) -}}{%- endif -%}`,
    `{%- endfor -%}{%- if add_generation_prompt -%}${format.prompt}{%- endif -%}`,
  ].join('');
}

/** `{{- 'literal' + text + … -}}` */
function write(...parts: readonly string[]): string {
  return `{{- ${parts.join(' + ')} -}}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\n', '\\n')}'`;
}

const TEXT = 'text';
const EOS = '(eos_token or "")';
const BOS = '{{- bos_token -}}';

function chatml(start = ''): string {
  const turn = (role: string) => write(quote(`<|im_start|>${role}\n`), TEXT, quote('<|im_end|>\n'));
  return turns({
    start,
    system: turn('system'),
    user: turn('user'),
    assistant: write(TEXT, quote('<|im_end|>\n')),
    tool: turn('tool'),
    prompt: write(quote('<|im_start|>assistant\n')),
  });
}

const QWEN_SYSTEM = 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.';

function llama3Turn(role: string): string {
  return write(quote(`<|start_header_id|>${role}<|end_header_id|>\n\n`), TEXT, quote('<|eot_id|>'));
}

const SOURCES: Readonly<Record<string, string>> = {
  empty: turns({
    system: write(TEXT),
    user: write(TEXT),
    assistant: write(TEXT, EOS),
    prompt: '',
  }),
  default: turns({
    system: write(quote('System: '), TEXT, EOS, quote('\n')),
    user: write(quote('Human: '), TEXT, EOS, quote('\n')),
    assistant: write(TEXT, EOS, quote('\n')),
    prompt: write(quote('Assistant:')),
  }),
  alpaca: turns({
    system: write(TEXT, quote('\n\n')),
    user: write(quote('### Instruction:\n'), TEXT, quote('\n\n')),
    assistant: write(TEXT, EOS, quote('\n\n')),
    prompt: write(quote('### Response:\n')),
  }),
  vicuna: turns({
    system: write(TEXT, quote(' ')),
    user: write(quote('USER: '), TEXT, quote(' ')),
    assistant: write(TEXT, EOS),
    prompt: write(quote('ASSISTANT:')),
  }),
  zephyr: turns({
    system: write(quote('<|system|>\n'), TEXT, EOS, quote('\n')),
    user: write(quote('<|user|>\n'), TEXT, EOS, quote('\n')),
    assistant: write(TEXT, EOS, quote('\n')),
    prompt: write(quote('<|assistant|>\n')),
  }),
  chatml: chatml(),
  qwen: chatml(
    `{%- if not messages or messages[0]['role'] != 'system' -%}${write(
      quote(`<|im_start|>system\n${QWEN_SYSTEM}<|im_end|>\n`),
    )}{%- endif -%}`,
  ),
  llama2: turns({
    system: "{%- set ns.system = '<<SYS>>\\n' + text + '\\n<</SYS>>\\n\\n' -%}",
    user: `${BOS}${write(quote('[INST] '), 'ns.system', TEXT, quote(' [/INST]'))}`,
    assistant: write(TEXT, EOS),
    prompt: '',
  }),
  llama3: turns({
    start: BOS,
    system: llama3Turn('system'),
    user: llama3Turn('user'),
    assistant: write(TEXT, quote('<|eot_id|>')),
    tool: llama3Turn('ipython'),
    prompt: write(quote('<|start_header_id|>assistant<|end_header_id|>\n\n')),
  }),
  mistral: turns({
    start: BOS,
    system: `${SYSTEM_IN_USER}{%- set ns.system = ns.system + '\\n\\n' -%}`,
    user: write(quote('[INST] '), 'ns.system', TEXT, quote('[/INST]')),
    assistant: write(quote(' '), TEXT, EOS),
    prompt: '',
  }),
  gemma: turns({
    start: BOS,
    system: `${SYSTEM_IN_USER}{%- set ns.system = ns.system + '\\n\\n' -%}`,
    user: write(quote('<start_of_turn>user\n'), 'ns.system', TEXT, quote('<end_of_turn>\n')),
    assistant: write(TEXT, quote('<end_of_turn>\n')),
    prompt: write(quote('<start_of_turn>model\n')),
  }),
  phi3: turns({
    system: write(quote('<|system|>\n'), TEXT, quote('<|end|>\n')),
    user: write(quote('<|user|>\n'), TEXT, quote('<|end|>\n')),
    assistant: write(TEXT, quote('<|end|>\n')),
    prompt: write(quote('<|assistant|>\n')),
  }),
  deepseek3: turns({
    start: BOS,
    system: write(TEXT),
    user: write(quote('<｜User｜>'), TEXT),
    assistant: write(TEXT, EOS),
    prompt: write(quote('<｜Assistant｜>')),
  }),
};

const ALIASES: Readonly<Record<string, string>> = { qwen3: 'chatml', yi: 'chatml' };

/** Every name {@link namedTemplate} takes, in alphabetical order. */
export const TEMPLATE_NAMES: readonly string[] = [
  ...Object.keys(SOURCES),
  ...Object.keys(ALIASES),
].sort();

/**
 * The built-in template of that name.
 *
 * Throws: `CHAT_TEMPLATE_UNKNOWN` with the nearest known names.
 */
export function namedTemplate(name: string, variables: TemplateVariables = {}): ChatTemplate {
  const key = Object.hasOwn(ALIASES, name) ? (ALIASES[name] ?? name) : name;
  const source = Object.hasOwn(SOURCES, key) ? SOURCES[key] : undefined;
  if (source === undefined) {
    const nearest = nearestNames(name, TEMPLATE_NAMES);
    throw new TuneyardError(
      TEMPLATE_ERRORS.CHAT_TEMPLATE_UNKNOWN,
      `There is no built-in chat template ${JSON.stringify(name)}; known: ${TEMPLATE_NAMES.join(', ')}`,
      {
        category: 'not_found',
        details: { name, nearest },
        ...(nearest.length === 0 ? {} : { hint: `Did you mean ${nearest.join(' or ')}?` }),
      },
    );
  }
  return new ChatTemplate(source, `the built-in template ${name}`, variables);
}
