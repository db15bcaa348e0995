/** `tuneyard generate`: continues a text. */
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import {
  addModelOptions,
  addSamplingOptions,
  type ModelFlags,
  type SamplingFlags,
} from '../model-options.js';
import { harmlessText } from '../terminal/visible-text.js';
import { threadsFor } from '../threads.js';

interface GenerateFlags extends ModelFlags, SamplingFlags {
  readonly prompt: string;
}

/** Adds `generate` to the program. */
export function addGenerateCommand(program: Command, start: StartCommand): void {
  const command = defineCommand(program, {
    usage: 'generate',
    summary: 'Continue a text',
    description:
      'Continues a text and writes the continuation to stdout as it comes. The text goes to the model as it is; use chat for a model with a chat template.',
    examples: [
      {
        command: 'tuneyard generate models/my-model --prompt "Once upon a time"',
        does: 'the likeliest continuation',
      },
      {
        command:
          'tuneyard generate model.gguf --prompt "Dear" --temperature 0.8 --top-p 0.95 --seed 7',
        does: 'a sampled one, the same every time',
      },
      {
        command: 'tuneyard generate models/base --adapter adapters/mine --prompt - < question.txt',
        does: 'with an adapter, the prompt from stdin',
      },
    ],
  })
    .argument('<model>', 'model directory or .gguf file')
    .requiredOption('--prompt <text>', 'text to continue; - reads it from stdin');
  addSamplingOptions(addModelOptions(command)).action((model: string, flags: GenerateFlags) =>
    generateText(start(), model, flags),
  );
}

const NEW_TOKENS = 256;

async function generateText(cli: Cli, path: string, flags: GenerateFlags): Promise<void> {
  const { generate, openTextModel } = await import('@tuneyard/engine');
  const prompt = flags.prompt === '-' ? await text(cli.host.stdin) : flags.prompt;
  using model = await openTextModel({
    path: cli.path(path),
    adapterPath: flags.adapter === undefined ? undefined : cli.path(flags.adapter),
    baseType: flags.baseType,
    threads: flags.threads ?? threadsFor(cli.path(path)),
    signal: cli.signal,
  });
  const ids = model.tokenizer.encode(prompt);
  const room = Math.max(1, model.model.config.maxPositionEmbeddings - ids.length);
  const {
    prompt: _prompt,
    adapter: _adapter,
    baseType: _type,
    threads: _threads,
    ...sampling
  } = flags;
  const answer = await generate(model, ids, {
    ...sampling,
    maxNewTokens: flags.maxNewTokens ?? Math.min(NEW_TOKENS, room),
    signal: cli.signal,
    onText: (piece) => {
      if (!cli.isJson) cli.write(cli.host.stdout.isTTY === true ? harmlessText(piece) : piece);
    },
  });
  if (cli.isJson) cli.result({ prompt, ...answer }, () => []);
  else cli.write('\n');
  const why = answer.finishReason === 'stop' ? 'ended by the model' : 'length reached';
  cli.note(
    cli.err.dim(
      `${answer.ids.length} tokens, ${answer.tokensPerSecond.toFixed(1)} tokens/s, ${why}`,
    ),
  );
}
