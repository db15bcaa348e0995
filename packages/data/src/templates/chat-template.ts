/**
 * Renders a conversation through a model's Jinja chat template, as transformers' `apply_chat_template`
 * does: blocks trimmed, `raise_exception`, `strftime_now`, `tojson` without ASCII escaping, special
 * tokens as variables.
 *
 * The interpreter is @huggingface/jinja. It differs from Python's in places: it adds a string
 * and a dictionary where Jinja2 raises, and it raises where Jinja2 loops over, or filters, a value
 * that is not defined (some tool-use templates do that when no tools are given).
 *
 * Checked against: Jinja2 3.1.6 over the templates in test/fixtures/chat-templates.
 */

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { TuneyardError } from '@tuneyard/core';
import { TEMPLATE_ERRORS } from './errors.js';
import { strftime } from './strftime.js';

/** One turn of a conversation. Further members (`tool_calls`, `name`, …) reach the template too. */
export interface ChatMessage {
  /** 'system', 'user', 'assistant', 'tool', or whatever else the template knows. */
  readonly role: string;
  readonly content: string;
  readonly [member: string]: unknown;
}

/** Options of {@link ChatTemplate.render}. */
export interface RenderOptions {
  /** Ends the text where the assistant's answer would begin. */
  readonly addGenerationPrompt: boolean;
  /** Tool descriptions in JSON Schema form; not given to the template when absent. */
  readonly tools?: readonly unknown[];
  /** Further variables, such as `enable_thinking`; they win over the template's own. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What a template needs besides the conversation. */
export interface TemplateVariables {
  readonly bosToken?: string | null;
  readonly eosToken?: string | null;
  /** Further special tokens by Jinja name (`unk_token`, `pad_token`). */
  readonly specialTokens?: Readonly<Record<string, string>>;
  /** The clock behind `strftime_now`. Default: the current time. */
  readonly now?: () => Date;
}

/** Templates beyond this are refused; the largest known (gpt-oss) has 17 kB. */
const SOURCE_CHARS_MAX = 1 << 20;
/** Stands in for `{% generation %}`; a name no template uses. */
const GENERATION_MACRO = 'tuneyard_generation';

/** Thrown by `raise_exception`; told apart from failures of the interpreter by its class. */
class RaisedByTemplate extends Error {}

/** A parsed template with the special tokens of its model. */
export class ChatTemplate {
  /** The Jinja text. */
  readonly source: string;
  /** Where it came from, for errors. */
  readonly origin: string;
  /** The end-of-sequence text it was given, or null. */
  readonly eosToken: string | null;
  /** True when the template marks what the assistant writes with `{% generation %}`. */
  readonly hasGenerationMarkers: boolean;
  readonly #program: ReturnType<typeof parse>;
  readonly #variables: TemplateVariables;

  /** Throws: `CHAT_TEMPLATE_SYNTAX` when the text is not Jinja. */
  constructor(source: string, origin: string, variables: TemplateVariables = {}) {
    this.source = source;
    this.origin = origin;
    this.eosToken = variables.eosToken ?? null;
    this.hasGenerationMarkers = /\{%[-+]?\s*generation\s*[-+]?%\}/.test(source);
    this.#variables = variables;
    this.#program = parseTemplate(source, origin);
  }

  /**
   * Renders the conversation to text.
   *
   * Throws: `CHAT_TEMPLATE_REFUSED` with the template's own message when it raises an exception;
   * `CHAT_TEMPLATE_FAILED` when it cannot be evaluated on these messages.
   */
  render(messages: readonly ChatMessage[], options: RenderOptions): string {
    return this.renderMarked(messages, options, { open: '', close: '' });
  }

  /** As {@link render}, with marks put around what `{% generation %}` encloses. */
  renderMarked(
    messages: readonly ChatMessage[],
    options: RenderOptions,
    marks: { readonly open: string; readonly close: string },
  ): string {
    const now = (this.#variables.now ?? (() => new Date()))();
    const variables: Record<string, unknown> = {
      ...GLOBALS,
      ...this.#specialTokens(),
      strftime_now: (format: string) => strftime(now, format),
      generation_open: marks.open,
      generation_close: marks.close,
      messages,
      add_generation_prompt: options.addGenerationPrompt,
      ...(options.tools === undefined ? {} : { tools: options.tools }),
      ...options.extra,
    };
    const environment = new Environment();
    for (const [name, value] of Object.entries(variables)) {
      environment.set(name, value);
    }
    try {
      const result = new Interpreter(environment).run(this.#program);
      return String(result.value);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #specialTokens(): Readonly<Record<string, string>> {
    const { bosToken, eosToken, specialTokens } = this.#variables;
    return {
      ...(bosToken ? { bos_token: bosToken } : {}),
      ...(eosToken ? { eos_token: eosToken } : {}),
      ...specialTokens,
    };
  }

  #failure(error: unknown): TuneyardError {
    const message = error instanceof Error ? error.message : String(error);
    const raised = error instanceof RaisedByTemplate;
    return new TuneyardError(
      raised ? TEMPLATE_ERRORS.CHAT_TEMPLATE_REFUSED : TEMPLATE_ERRORS.CHAT_TEMPLATE_FAILED,
      raised
        ? `The chat template of ${this.origin} refuses the conversation: ${message}`
        : `The chat template of ${this.origin} cannot be rendered: ${message}`,
      { details: { origin: this.origin, templateMessage: message }, cause: error },
    );
  }
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range: pythonRange,
  raise_exception: (message: unknown) => {
    throw new RaisedByTemplate(String(message));
  },
};

function pythonRange(first: number, second?: number, step = 1): readonly number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const count = step === 0 ? 0 : Math.max(0, Math.ceil((stop - start) / step));
  return Array.from({ length: count }, (_, i) => start + i * step);
}

function parseTemplate(source: string, origin: string): ReturnType<typeof parse> {
  if (source.length > SOURCE_CHARS_MAX) {
    throw new TuneyardError(
      TEMPLATE_ERRORS.CHAT_TEMPLATE_SYNTAX,
      `The chat template of ${origin} has ${source.length} characters, more than the ${SOURCE_CHARS_MAX} allowed`,
    );
  }
  const options = { lstrip_blocks: true, trim_blocks: true };
  // transformers implements {% generation %} as a call block too, so scoping is the same.
  const withCalls = source
    .replace(/\{%([-+]?)\s*generation\s*([-+]?)%\}/g, `{%$1 call ${GENERATION_MACRO}() $2%}`)
    .replace(/\{%([-+]?)\s*endgeneration\s*([-+]?)%\}/g, '{%$1 endcall $2%}');
  try {
    const program = parse(tokenize(withCalls, options));
    const macro = parse(
      tokenize(
        `{% macro ${GENERATION_MACRO}() %}{{ generation_open }}{{ caller() }}{{ generation_close }}{% endmacro %}`,
        options,
      ),
    );
    program.body.unshift(...macro.body);
    return program;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new TuneyardError(
      TEMPLATE_ERRORS.CHAT_TEMPLATE_SYNTAX,
      `The chat template of ${origin} is not valid Jinja: ${message}`,
      { details: { origin }, cause },
    );
  }
}
