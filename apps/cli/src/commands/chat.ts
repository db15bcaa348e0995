/** `tuneyard chat`: a conversation with a model in the terminal. */
import { createInterface } from 'node:readline';
import { TuneyardError } from '@tuneyard/core';
import type { ConversationMessage, PromptTemplate, Rejection } from '@tuneyard/data';
import type { TextModel } from '@tuneyard/engine';
import type { Command } from 'commander';
import { runChatLoop } from '../chat/chat-loop.js';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';
import {
  addModelOptions,
  addSamplingOptions,
  type ModelFlags,
  type SamplingFlags,
} from '../model-options.js';
import { harmlessText } from '../terminal/visible-text.js';
import { threadsFor } from '../threads.js';

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string;
  readonly template?: string;
}

/** Adds `chat` to the program. */
export function addChatCommand(program: Command, start: StartCommand): void {
  const command = defineCommand(program, {
    usage: 'chat',
    summary: 'Talk with a model',
    description:
      'Talks with a model through its own chat template. Ctrl-C stops an answer, /exit ends, /reset forgets, /system sets the system message. Without a terminal, each line of stdin is one message.',
    examples: [
      { command: 'tuneyard chat models/my-model', does: 'talk' },
      {
        command: 'tuneyard chat models/base --adapter adapters/mine --system "Answer in one line."',
        does: 'with an adapter and a system message',
      },
      { command: 'tuneyard chat models/my-model --json < questions.txt', does: 'ask a list' },
    ],
  })
    .argument('<model>', 'model directory or .gguf file')
    .option('--system <text>', 'system message to begin with')
    .option('--template <name>', "chat template: auto (the model's own), plain, or a name");
  addSamplingOptions(addModelOptions(command)).action((model: string, flags: ChatFlags) =>
    chat(start(), model, flags),
  );
}

async function chat(cli: Cli, path: string, flags: ChatFlags): Promise<void> {
  const { openTextModel } = await import('@tuneyard/engine');
  const { openPromptTemplate } = await import('@tuneyard/data');
  const { openModel } = await import('@tuneyard/weights');
  using model = await openTextModel({
    path: cli.path(path),
    adapterPath: flags.adapter === undefined ? undefined : cli.path(flags.adapter),
    baseType: flags.baseType,
    threads: flags.threads ?? threadsFor(cli.path(path)),
    signal: cli.signal,
  });
  const source = await openModel(cli.path(path));
  await source.close();
  const template = await openPromptTemplate({
    name: flags.template ?? 'auto',
    modelPath: cli.path(path),
    tokenizer: model.tokenizer,
    generationConfig: source.generationConfig,
  });
  const isTerminal = cli.host.stderr.isTTY === true && process.stdin === cli.host.stdin;
  const lines = createInterface({
    input: cli.host.stdin,
    ...(isTerminal ? { output: process.stderr, prompt: '› ' } : {}),
    signal: cli.signal,
  });
  const replier = new Replier({ cli, model, template, flags });
  // In a terminal, readline takes Ctrl-C: it stops the answer, or ends the conversation at the prompt.
  lines.on('SIGINT', () => {
    if (!replier.stop()) lines.close();
  });
  if (isTerminal) cli.note(cli.err.dim('/help lists commands, /exit ends'));
  await runChatLoop({
    lines,
    system: flags.system,
    reply: (messages) => replier.reply(messages),
    note: (text) => cli.note(cli.err.dim(text)),
    prompt: () => {
      if (isTerminal) lines.prompt();
    },
  });
  lines.close();
}

/** Writes answers, one at a time, and can be told to stop one. */
class Replier {
  readonly #cli: Cli;
  readonly #model: TextModel;
  readonly #template: PromptTemplate;
  readonly #flags: ChatFlags;
  #running: AbortController | null = null;

  constructor(parts: {
    cli: Cli;
    model: TextModel;
    template: PromptTemplate;
    flags: ChatFlags;
  }) {
    this.#cli = parts.cli;
    this.#model = parts.model;
    this.#template = parts.template;
    this.#flags = parts.flags;
  }

  /** Stops the answer that is being written; false when there is none. */
  stop(): boolean {
    this.#running?.abort();
    return this.#running !== null;
  }

  async reply(messages: readonly ConversationMessage[]): Promise<string> {
    const running = new AbortController();
    this.#running = running;
    let written = '';
    try {
      return await this.#generate(messages, running.signal, (piece) => {
        written += piece;
        if (!this.#cli.isJson) this.#cli.write(harmlessText(piece));
      });
    } catch (error) {
      if (!running.signal.aborted || this.#cli.signal.aborted) throw error;
      return written; // The user stopped this answer; the conversation goes on.
    } finally {
      this.#running = null;
      if (!this.#cli.isJson) this.#cli.write('\n');
    }
  }

  async #generate(
    messages: readonly ConversationMessage[],
    signal: AbortSignal,
    onText: (piece: string) => void,
  ): Promise<string> {
    const { generate } = await import('@tuneyard/engine');
    const { encodePrompt, isRejection } = await import('@tuneyard/data');
    const model = this.#model;
    const ids = encodePrompt(
      { messages },
      { tokenizer: model.tokenizer, template: this.#template },
    );
    if (isRejection(ids)) throw refusedByTemplate(this.#template, ids);
    const room = Math.max(1, model.model.config.maxPositionEmbeddings - ids.length);
    const { system: _system, template: _template, ...rest } = this.#flags;
    const { adapter: _adapter, baseType: _type, threads: _threads, ...sampling } = rest;
    const answer = await generate(model, ids, {
      ...sampling,
      maxNewTokens: this.#flags.maxNewTokens ?? Math.min(512, room),
      stopTokenIds: [...new Set([...model.stopTokenIds, ...this.#template.stopTokenIds])],
      signal: AbortSignal.any([signal, this.#cli.signal]),
      onText,
    });
    this.#cli.event({ event: 'reply', ...answer });
    return answer.text;
  }
}

function refusedByTemplate(template: PromptTemplate, { reason }: Rejection): TuneyardError {
  return new TuneyardError(
    CLI_ERRORS.CLI_TEMPLATE_REFUSED,
    `The template ${template.name} does not accept the conversation: ${reason}`,
    { details: { template: template.name } },
  );
}
