/** Templates and tokenizers of real models, held against one another. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  ChatTemplate,
  loadChatTemplate,
  loadTokenizer,
  openPromptTemplate,
  type Tokenizer,
} from '@tuneyard/data';
import { afterAll, describe, expect, it } from 'vitest';
import { checkTemplate, likelyTemplates } from '../src/doctor/template-checks.js';
import { chatPromptTemplate } from '../src/encode/prompt-template.js';
import { fixtureBytes } from './tokenizer-fixtures.js';

const root = mkdtempSync(join(tmpdir(), 'tuneyard-templates-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const templatePath = (name: string) =>
  fileURLToPath(new URL(`./fixtures/chat-templates/templates/${name}.jinja`, import.meta.url));

/** Loaded once each: they are large. */
const tokenizers = new Map<string, Tokenizer>();

/** A directory with a tokenizer and, if named, a chat template; enough for everything but weights. */
async function modelOf(tokenizerDir: string, chatTemplate?: string, config: object = {}) {
  const path = mkdtempSync(join(root, 'model-'));
  writeFileSync(join(path, 'tokenizer.json'), fixtureBytes(`${tokenizerDir}/tokenizer.json.gz`));
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  if (chatTemplate !== undefined) {
    copyFileSync(templatePath(chatTemplate), join(path, 'chat_template.jinja'));
  }
  const tokenizer = tokenizers.get(tokenizerDir) ?? (await loadTokenizer(path));
  tokenizers.set(tokenizerDir, tokenizer);
  return { path, tokenizer, own: await loadChatTemplate(path, tokenizer) };
}

type Model = Awaited<ReturnType<typeof modelOf>>;

async function check({ path, tokenizer, own }: Model, name: string) {
  const template = await openPromptTemplate({
    name,
    modelPath: path,
    tokenizer,
    generationConfig: { eos_token_id: tokenizer.tokenToId('<|im_end|>') ?? 2 },
  });
  const data = { systemRows: 3, multiTurnRows: 2, toolRows: 0 };
  return await checkTemplate({ template, name, tokenizer, modelPath: path, own, data });
}

describe('checking templates of real models', () => {
  it("accepts Qwen 2.5's own template and the named one that writes the same", async () => {
    const qwen = await modelOf('qwen3', 'Qwen-Qwen2.5-7B-Instruct');
    expect(await check(qwen, 'auto')).toEqual([]);
    expect(await check(qwen, 'qwen')).toEqual([]);
  });

  it('finds a named template of another family, and names the right one', async () => {
    const qwen = await modelOf('qwen3', 'Qwen-Qwen2.5-7B-Instruct', { model_type: 'qwen2' });
    const findings = await check(qwen, 'alpaca');
    expect(findings.map(({ code, severity }) => [code, severity])).toEqual([
      ['template_differs', 'warning'],
    ]);
    expect(findings[0]!.fix).toMatch(/template: auto for the model's own, or .*\bqwen\b/);
    expect(findings[0]!.message).toContain("'alpaca' writes");
    expect(await likelyTemplates(qwen.path, qwen.tokenizer)).toContain('qwen');
  });

  it('only notes that plain is not what a chat model reads', async () => {
    const qwen = await modelOf('qwen3', 'Qwen-Qwen2.5-7B-Instruct');
    const [finding, ...rest] = await check(qwen, 'plain');
    expect(rest).toEqual([]);
    expect(finding).toMatchObject({ code: 'template_differs', severity: 'note' });
  });

  it('finds markers that are not single tokens', async () => {
    const qwen = await modelOf('qwen3');
    const findings = await check(qwen, 'zephyr');
    expect(findings.map(({ code }) => code)).toEqual(['template_marker_split']);
    expect(findings[0]!.message).toMatch(/<\|user\|>.*not single tokens/);
    const phi = await modelOf('phi-3-mini');
    expect(await check(phi, 'phi')).toEqual([]);
  });

  it('says nothing about a model without a chat template of its own', async () => {
    expect(await check(await modelOf('qwen3'), 'qwen')).toEqual([]);
  });
});

describe('checking what a template does with a dialogue', () => {
  /** Findings of a Jinja text as the model's own template. */
  async function checkJinja(
    source: string,
    data = { systemRows: 3, multiTurnRows: 2, toolRows: 0 },
  ) {
    const { path, tokenizer } = await modelOf('qwen3');
    const own = new ChatTemplate(source, 'test', { eosToken: '<|im_end|>' });
    const template = chatPromptTemplate(own, { tokenizer, name: 'test' });
    const check = { template, name: 'auto', tokenizer, modelPath: path, own, data };
    return (await checkTemplate(check)).map(({ code, severity, message }) => [
      code,
      severity,
      message,
    ]);
  }
  const loop = (filter: string) =>
    `{% for m in messages ${filter} %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}`;

  it('accepts one that writes everything', async () => {
    expect(await checkJinja(loop(''))).toEqual([]);
  });

  it('finds one that leaves system messages out, where the data have some', async () => {
    const source = loop("if m.role != 'system'");
    expect(await checkJinja(source)).toEqual([
      [
        'template_drops_system',
        'warning',
        'the template leaves system messages out; 3 rows with one',
      ],
    ]);
    expect(await checkJinja(source, { systemRows: 0, multiTurnRows: 2, toolRows: 0 })).toEqual([]);
  });

  it('finds one that leaves tools out, where the data have some', async () => {
    const data = { systemRows: 0, multiTurnRows: 2, toolRows: 4 };
    const lost = `{% if tools %}{% endif %}${loop('')}`;
    expect(await checkJinja(lost, data)).toEqual([
      ['template_drops_tools', 'warning', 'the template leaves tools out; 4 rows with some'],
    ]);
    expect(await checkJinja(lost)).toEqual([]);
    expect(
      await checkJinja(`{% if tools %}{{ tools | tojson }}{% endif %}${loop('')}`, data),
    ).toEqual([]);
    // One that never looks at tools refuses the rows; they are counted as bad_tools.
    expect(await checkJinja(loop(''), data)).toEqual([]);
  });

  it('finds one that rewrites what came before', async () => {
    const source =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last or m.role != 'assistant' %}{{ m.content }}{% else %}…{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    const [finding] = await checkJinja(source);
    expect(finding?.slice(0, 2)).toEqual(['template_rewrites_history', 'warning']);
    expect(finding?.[2]).toContain('2 rows');
    expect(await checkJinja(source, { systemRows: 0, multiTurnRows: 0, toolRows: 0 })).toEqual([]);
  });

  it('finds one that leaves turns out', async () => {
    const source =
      "{% for m in messages %}{% if loop.index > 2 or messages | length < 3 %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    const findings = await checkJinja(source, { systemRows: 0, multiTurnRows: 2, toolRows: 0 });
    expect(findings).toEqual([
      [
        'template_drops_turns',
        'error',
        'of a dialogue of four turns the template leaves out turn 1, 2',
      ],
    ]);
  });
});
