/** Records through handlers against what LLaMA-Factory 0.9.3 makes of the same dialogues. */
import { rmSync } from 'node:fs';
import {
  type HandledRow,
  type HandlerSettings,
  isRejection,
  openPromptTemplate,
  openRowHandler,
  type Rejection,
} from '@tuneyard/data';
import { afterAll, describe, expect, it } from 'vitest';
import {
  FixtureTokenizers,
  type LfCase,
  type LfDialogue,
  type LfMessage,
  type LfResult,
  type LfSamples,
  llamaFactoryFixture,
  unpackLabels,
} from './template-fixtures.js';

const NO_CUTOFF = 1 << 20;
const samples = llamaFactoryFixture<LfSamples>('samples.json.gz');
const tokenizers = new FixtureTokenizers(samples.tokenizers);
afterAll(() => rmSync(tokenizers.root, { recursive: true }));

type JsonRecord = { readonly [key: string]: unknown };

const FROM = {
  user: 'human',
  assistant: 'gpt',
  function: 'function_call',
  observation: 'observation',
};
const ROLE = {
  user: 'user',
  assistant: 'assistant',
  function: 'function_call',
  observation: 'tool',
};

const turnOf = ({ role, content }: LfMessage) => ({ from: FROM[role], value: content });

const shareGpt = ({ messages, ...rest }: LfDialogue): JsonRecord => ({
  conversations: messages.map(turnOf),
  ...rest,
});
const openAi = ({ messages, ...rest }: LfDialogue): JsonRecord => ({
  messages: messages.map(({ role, content }) => ({ role: ROLE[role], content })),
  ...rest,
});

/** Null where the dialogue is more than questions and answers. */
function alpaca({ messages, ...rest }: LfDialogue): JsonRecord | null {
  if (messages.some(({ role }) => role !== 'user' && role !== 'assistant')) return null;
  const texts = messages.map(({ content }) => content);
  const history = [];
  for (let i = 0; i < texts.length - 2; i += 2) history.push([texts[i], texts[i + 1]]);
  return { instruction: texts.at(-2), input: '', output: texts.at(-1), history, ...rest };
}

async function openTools(name: string, tokenizer: string, change: LfCase) {
  const { default_system, enable_thinking, tool_format } = change;
  const opened = await tokenizers.open(tokenizer);
  const template = await openPromptTemplate({
    name,
    modelPath: tokenizers.path(tokenizer),
    tokenizer: opened,
    generationConfig: null,
    resizeVocab: true,
    now: () => new Date(2025, 5, 17),
    ...(default_system === undefined ? {} : { defaultSystem: default_system }),
    ...(enable_thinking === undefined ? {} : { enableThinking: enable_thinking }),
    ...(tool_format === undefined ? {} : { toolFormat: tool_format }),
  });
  return { tokenizer: opened, template };
}

function settingsOf(handler: string, change: LfCase): HandlerSettings {
  return {
    handler,
    cutoffLength: change.cutoff_len ?? NO_CUTOFF,
    overlength: 'truncate',
    maskHistory: change.mask_history ?? false,
    trainOnPrompt: change.train_on_prompt ?? false,
  };
}

const origin = { source: 'lf', row: 1 };

function comparable(rows: readonly HandledRow[] | Rejection): unknown {
  if (isRejection(rows)) return 'refused';
  return rows.map(({ fields }) => fields.map((field) => [...field]));
}

/** The first label cannot be learned and is masked where it is the end of an answer before it. */
function expected(result: LfResult, { train_on_prompt = false }: LfCase): unknown {
  if ('refused' in result) return 'refused';
  const [, ...labels] = unpackLabels(result.labels);
  return [[result.ids, [train_on_prompt ? result.ids[0] : -100, ...labels]]];
}

const { question, chosen, rejected } = samples.preferences;
const SHAREGPT_PAIR = {
  conversations: question.map(turnOf),
  chosen: turnOf(chosen),
  rejected: turnOf(rejected),
};
const texts = question.map(({ content }) => content);
const ALPACA_PAIR = {
  instruction: texts[4],
  history: [texts.slice(0, 2), texts.slice(2, 4)],
  chosen: chosen.content,
  rejected: rejected.content,
};
const RATED = { system: 'Be kind.', conversations: [...question, rejected].map(turnOf) };

const TEMPLATES = ['qwen', 'qwen3', 'glm4', 'llama3', 'mistral', 'deepseekr1', 'gemma', 'default'];

describe.each(TEMPLATES)('records with template %s', (name) => {
  const fixture = samples.templates[name]!;
  const cases = Object.entries(fixture.cases).flatMap(([caseName, result]) => {
    const change = samples.cases[caseName]!;
    // Refused as a setting, before any record is read.
    if (change.train_on_prompt === true && 'refused' in result) return [];
    return { caseName, change, result, dialogue: samples.dialogues[change.dialogue]! };
  });

  it('give the same ids and labels in every form', async () => {
    for (const { caseName, change, result, dialogue } of cases) {
      const tools = await openTools(name, fixture.tokenizer, change);
      const forms = { sharegpt: shareGpt, openai: openAi, alpaca, auto: shareGpt };
      for (const [handler, write] of Object.entries(forms)) {
        const record = write(dialogue);
        if (record === null) continue;
        const rows = openRowHandler(settingsOf(handler, change), tools).handle(record, origin);
        expect(comparable(rows), `${caseName}, ${handler}`).toEqual(expected(result, change));
      }
    }
  });

  it('give the same pairs and verdicts', async () => {
    for (const [caseName, want] of Object.entries(fixture.preferences)) {
      const cutoff = samples.preferences.cutoffs[caseName]!;
      const change = { dialogue: '', enable_thinking: cutoff !== 90, cutoff_len: cutoff };
      const tools = await openTools(name, fixture.tokenizer, change);
      const handle = (handler: string, record: JsonRecord) =>
        comparable(openRowHandler(settingsOf(handler, change), tools).handle(record, origin));
      const { chosen, rejected, kto } = want;
      const pair = [
        [
          chosen,
          unpackLabels(want['chosenLabels']!),
          rejected,
          unpackLabels(want['rejectedLabels']!),
        ],
      ];
      expect(handle('sharegpt-pairwise', SHAREGPT_PAIR), caseName).toEqual(pair);
      expect(handle('alpaca-pairwise', ALPACA_PAIR), caseName).toEqual(pair);
      for (const liked of [true, false]) {
        const verdict = [[kto, unpackLabels(want['ktoLabels']!), [liked ? 1 : 0]]];
        const record = { ...RATED, kto_tag: liked };
        expect(handle('sharegpt-kto', record), caseName).toEqual(verdict);
      }
    }
  });
});
