/**
 * Fine-tunes SmolLM2-135M-Instruct on the identity set and writes what it says before and after.
 *
 * `npm run example:smollm2 -- path/to/model.gguf [output folder]`. The command line does the work; this file
 * fills in the name, asks the questions and compares the answers of adapter, merged model, GGUF and llama.cpp.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodePrompt, openPromptTemplate } from '@tuneyard/data';
import { generateBatch, openTextModel, type TextModel } from '@tuneyard/engine';
import { LlamaModel } from '@tuneyard/ggml';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = resolve(HERE, '../..');
const WORKSPACE = join(ROOT, '.tuneyard');
const NAME = 'Yardley';
const AUTHOR = 'the Tuneyard team';
const IDENTITY = [
  'Who are you?',
  'What is your name?',
  'Can you tell me who you are?',
  'Please introduce yourself.',
];
const GENERAL = [
  'What is 2 + 3?',
  'Write one sentence about the sea.',
  'What is the opposite of hot?',
];
const QUESTIONS = [...IDENTITY, ...GENERAL];
const LONGEST_ANSWER = 48;

async function main(model: string, outDir: string): Promise<void> {
  fillInNames();
  const before = await answers(model, undefined);
  const { peakMb, seconds } = runRecipe(model);
  const found = artifacts();
  const after = await answers(model, found.adapter);
  const merged = await answers(found.model, undefined);
  const gguf = await answers(found.f16, undefined);
  const llama = await llamaAnswers(found.f16);
  mkdirSync(outDir, { recursive: true });
  copyFileSync(join(found.adapter, 'training_loss.svg'), join(outDir, 'training_loss.svg'));
  copyFileSync(join(found.adapter, 'trainer_log.jsonl'), join(outDir, 'trainer_log.jsonl'));
  const lines = [
    '# SmolLM2-135M-Instruct, renamed',
    '',
    `Made by \`npm run example:smollm2\`; ${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}.`,
    '',
    `Whole run ${seconds.toFixed(0)} s (data, training, merge, three exports, checks); ${trainingFacts(found.adapter)}; peak memory of the training process ${peakMb} MB.`,
    '',
    '![training loss](training_loss.svg)',
    '',
    '| question | before | after (base in Q4_1 + adapter) | merged, bf16 |',
    '|---|---|---|---|',
    ...QUESTIONS.map(
      (q, i) => `| ${q} | ${cell(before[i])} | ${cell(after[i])} | ${cell(merged[i])} |`,
    ),
    '',
    `Greedy answers of the merged model's GGUF (f16): ${equal(gguf, llama)} of ${QUESTIONS.length} are the same, token for token, in this engine and in llama.cpp.`,
    '',
  ];
  writeFileSync(join(outDir, 'README.md'), lines.join('\n'));
  console.error(lines.join('\n'));
  const renamed = IDENTITY.every((_, i) => (after[i]?.text ?? '').includes(NAME));
  if (!renamed || equal(gguf, llama) < QUESTIONS.length) process.exitCode = 1;
}

interface Answer {
  readonly ids: readonly number[];
  readonly text: string;
}

function fillInNames(): void {
  const raw = readFileSync(join(ROOT, 'assets/datasets/identity.json'), 'utf8');
  const filled = raw.replaceAll('{{name}}', NAME).replaceAll('{{author}}', AUTHOR);
  writeFileSync(join(HERE, 'identity.filled.json'), filled);
}

async function prompts(model: TextModel, path: string): Promise<Int32Array[]> {
  const { tokenizer } = model;
  const template = await openPromptTemplate({
    name: 'auto',
    modelPath: path,
    tokenizer,
    generationConfig: null,
  });
  return QUESTIONS.map((content) => {
    const ids = encodePrompt({ messages: [{ role: 'user', content }] }, { tokenizer, template });
    if (!(ids instanceof Int32Array)) throw new Error(`${content}: ${JSON.stringify(ids)}`);
    return ids;
  });
}

async function answers(path: string, adapterPath: string | undefined): Promise<Answer[]> {
  using model = await openTextModel({ path, adapterPath, threads: 2 });
  const result = await generateBatch(model, await prompts(model, path), {
    maxNewTokens: LONGEST_ANSWER,
    batchSize: QUESTIONS.length,
  });
  return result.generations.map(({ ids, text }) => ({ ids, text }));
}

async function llamaAnswers(path: string): Promise<Answer[]> {
  using model = await openTextModel({ path, threads: 2 });
  using llama = new LlamaModel(path, { threads: 2 });
  const out: Answer[] = [];
  for (const prompt of await prompts(model, path)) {
    const { stopTokenIds } = model;
    const { ids } = await llama.greedy([...prompt], { maxNewTokens: LONGEST_ANSWER, stopTokenIds });
    const kept = ids.filter((id) => !stopTokenIds.includes(id));
    out.push({ ids: kept, text: model.tokenizer.decode(kept) });
  }
  return out;
}

function runRecipe(model: string): { peakMb: number; seconds: number } {
  const cli = join(ROOT, 'apps/cli/dist/main.js');
  const recipe = join(HERE, 'recipe.yaml');
  const started = performance.now();
  const args = [cli, 'run', recipe, `model.model_name_or_path=${model}`, '--workspace', WORKSPACE];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`tuneyard run ended with ${status}`);
  const seconds = (performance.now() - started) / 1000;
  const manifest = JSON.parse(readFileSync(join(artifacts().adapter, 'manifest.json'), 'utf8')) as {
    metrics: { peakMemoryBytes: number };
  };
  return { peakMb: Math.round(manifest.metrics.peakMemoryBytes / 1e6), seconds };
}

function artifacts(): { adapter: string; model: string; f16: string } {
  const newest = (kind: string, hasFile: RegExp): string => {
    const folder = join(WORKSPACE, 'artifacts', kind);
    const found = readdirSync(folder)
      .filter((name) => name.startsWith('smollm2-identity-') && !name.includes('.tmp'))
      .map((name) => join(folder, name))
      .filter((path) => readdirSync(path).some((file) => hasFile.test(file)))
      .map((path) => ({ path, at: createdAt(path) }))
      .sort((a, b) => b.at.localeCompare(a.at));
    if (found[0] === undefined) throw new Error(`no ${kind} artifact in ${folder}`);
    return found[0].path;
  };
  const gguf = newest('gguf', /f16\.gguf$/);
  const file = readdirSync(gguf).find((name) => name.endsWith('.gguf')) ?? '';
  return {
    adapter: newest('adapter', /^adapter_model/),
    model: newest('model', /^model/),
    f16: join(gguf, file),
  };
}

function createdAt(artifact: string): string {
  const manifest = JSON.parse(readFileSync(join(artifact, 'manifest.json'), 'utf8')) as {
    createdAt: string;
  };
  return manifest.createdAt;
}

function trainingFacts(adapter: string): string {
  const { metrics } = JSON.parse(readFileSync(join(adapter, 'manifest.json'), 'utf8')) as {
    metrics: { steps: number; tokens: number; tokensPerSecond: number; trainedParameters: number };
  };
  return `${metrics.trainedParameters.toLocaleString('en-US')} parameters trained, ${metrics.steps} steps, ${metrics.tokens.toLocaleString('en-US')} tokens at ${metrics.tokensPerSecond.toFixed(0)} tokens/s`;
}

function equal(a: readonly Answer[], b: readonly Answer[]): number {
  return a.filter((answer, i) => answer.ids.join() === b[i]?.ids.join()).length;
}

function cell(answer: Answer | undefined): string {
  return (answer?.text ?? '').trim().replaceAll('\n', ' ').replaceAll('|', '\\|');
}

const [model, outDir] = process.argv.slice(2);
if (model === undefined) {
  console.error('usage: npm run example:smollm2 -- path/to/model.gguf [output folder]');
  process.exitCode = 2;
} else {
  await main(resolve(model), resolve(outDir ?? join(WORKSPACE, 'smollm2-identity')));
}
