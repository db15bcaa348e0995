/** `tuneyard data templates`: the named chat templates, and which one fits a model. */
import type { TemplateDescription, TemplateSuggestion, TemplateSummary } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { formatFacts, formatTable, truncateText } from '../terminal/table.js';
import { visibleText } from '../terminal/visible-text.js';

interface TemplatesFlags {
  readonly model?: string;
}

/** Adds `data templates`. */
export function addDataTemplatesCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'templates',
    summary: 'List chat templates, or suggest one for a model',
    description:
      "Lists the named chat templates with the models they suit. With a name, shows how that template writes each kind of turn. With a model, suggests templates with reasons, from the model's own chat template, its type and its vocabulary.",
    examples: [
      { command: 'tuneyard data templates', does: 'list them all' },
      { command: 'tuneyard data templates qwen3', does: 'show how one writes its turns' },
      {
        command: 'tuneyard data templates --model models/my-model',
        does: 'find the one that a model was trained with',
      },
    ],
  })
    .argument('[name]', 'show this template')
    .option('--model <path>', 'model directory or .gguf file')
    .action((name: string | undefined, flags: TemplatesFlags) => templates(start(), name, flags));
}

async function templates(cli: Cli, name: string | undefined, flags: TemplatesFlags): Promise<void> {
  const { describeTemplate, listTemplates } = await import('@tuneyard/data');
  if (flags.model !== undefined) {
    await suggest(cli, flags.model, name);
  } else if (name !== undefined) {
    const template = describeTemplate(name);
    cli.result({ template }, () => shownTemplate(template));
  } else {
    const list = listTemplates();
    cli.result({ templates: list }, () => shownList(list));
  }
}

async function suggest(cli: Cli, modelPath: string, name: string | undefined): Promise<void> {
  const data = await import('@tuneyard/data');
  const path = cli.path(modelPath);
  const tokenizer = await data.loadTokenizer(path);
  const own = await data.loadChatTemplate(path, tokenizer);
  if (name === undefined) {
    const suggestions = await data.suggestTemplate(path, tokenizer);
    cli.result({ hasOwnTemplate: own !== null, suggestions }, () => [
      own === null
        ? 'The model has no chat template of its own.'
        : 'The model brings its own chat template: template auto uses it.',
      ...shownSuggestions(suggestions),
    ]);
    return;
  }
  const template = data.describeTemplate(name);
  const preview = await exampleOf(path, name);
  cli.result({ template, example: preview }, () => [
    ...shownTemplate(template),
    '',
    data.formatPreview(preview, { color: cli.out.isColorSupported }),
  ]);
}

/** A short dialogue as the template writes it for the model. */
async function exampleOf(path: string, name: string) {
  const data = await import('@tuneyard/data');
  const tokenizer = await data.loadTokenizer(path);
  const template = await data.openPromptTemplate({
    name,
    modelPath: path,
    tokenizer,
    generationConfig: null,
  });
  const encoded = data.encodeConversation(
    {
      kind: 'conversation',
      source: 'example',
      row: 1,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Who are you?' },
        { role: 'assistant', content: 'A model.' },
        { role: 'user', content: 'Thanks!' },
        { role: 'assistant', content: 'You are welcome.' },
      ],
    },
    { tokenizer, template, cutoffLength: 1 << 20 },
  );
  const samples = data.isRejection(encoded) ? [] : [encoded.sample];
  const [preview] = data.previewSamples(samples, tokenizer);
  if (preview === undefined) throw new Error('the example gives no sample');
  return preview;
}

/** Widest text of a column. */
const SUITS_WIDTH = 48;

function shownList(list: readonly TemplateSummary[]): string[] {
  const columns = ['Template', 'Suits', 'Stop words', 'Tools'].map((title) => ({ title }));
  const rows = list.map((template) => [
    template.name,
    truncateText(template.suits, SUITS_WIDTH),
    template.stopWords.join(' '),
    template.toolFormat,
  ]);
  return formatTable(columns, rows);
}

function shownTemplate(template: TemplateDescription): string[] {
  const { slots, stopWords, toolFormat, defaultSystem, notes, otherNames, suits } = template;
  const line = (text: string) => visibleText(text.replaceAll('\n', '⏎'));
  const facts: (readonly [string, string])[] = [
    ['suits', suits],
    ['also called', otherNames.join(', ')],
    ['begins with', line(slots.prefix)],
    ['system', line(slots.system)],
    ['default system', line(defaultSystem)],
    ['question', line(slots.user)],
    ['answer', line(slots.assistant)],
    ['call', line(slots.function)],
    ['result', line(slots.observation)],
    ['tools', toolFormat],
    ['stop words', stopWords.join(' ')],
    ['notes', notes.join('\n')],
  ];
  return [template.name, ...formatFacts(facts.filter(([, value]) => value !== ''))];
}

function shownSuggestions(suggestions: readonly TemplateSuggestion[]): string[] {
  if (suggestions.length === 0) {
    return ['No named template fits its vocabulary; template plain needs no special tokens.'];
  }
  return suggestions.flatMap(({ template, confidence, reasons }) => [
    `${template}  (${confidence})`,
    ...reasons.map((reason) => `  ${visibleText(reason)}`),
  ]);
}
