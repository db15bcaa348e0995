import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  checkDataset,
  describeDataFile,
  loadTokenizer,
  plainPromptTemplate,
  prepareConversations,
} from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_OPTIONS,
  makeRows,
  toJsonLines,
  tripleGroup,
} from '../../../examples/data/make-stories-qa.js';

const pathOf = (relative: string) =>
  fileURLToPath(new URL(`../../../${relative}`, import.meta.url));
const files = {
  train: pathOf('examples/data/stories-qa-train.jsonl'),
  valid: pathOf('examples/data/stories-qa-valid.jsonl'),
};
const rowsOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { instruction: string; output: string });

describe('the demonstration data', () => {
  it('are what the script makes', () => {
    const { train, valid } = makeRows(DEFAULT_OPTIONS);
    expect(toJsonLines(train)).toBe(readFileSync(files.train, 'utf8'));
    expect(toJsonLines(valid)).toBe(readFileSync(files.valid, 'utf8'));
  });

  it('share no story between the splits', () => {
    const story = (text: string) => text.slice(0, text.lastIndexOf('. ') + 1);
    const train = new Set(rowsOf(files.train).map((row) => story(row.instruction)));
    const valid = rowsOf(files.valid).map((row) => story(row.instruction));
    expect(train.size).toBe(DEFAULT_OPTIONS.trainStories);
    expect(valid.filter((text) => train.has(text))).toEqual([]);
  });

  it('hold out triples of hero, thing and place', () => {
    const triple = (text: string) => {
      const hero = /^(?:One day, |Once upon a time, )?([A-Z][a-z]+) /.exec(text)?.[1] ?? '';
      const place = / went to the (\w+)/.exec(text)?.[1] ?? '';
      const thing = / (?:He|She) (?:saw|found|wanted) a \w+ (\w+)\./.exec(text)?.[1] ?? '';
      return tripleGroup(hero, thing, place);
    };
    const groups = (path: string) => rowsOf(path).map((row) => triple(row.instruction));
    expect(new Set(groups(files.valid))).toEqual(new Set([0]));
    expect(groups(files.train)).not.toContain(0);
  });

  it('have answers that stand in the story, and fit the bundled model', async () => {
    for (const { instruction, output } of [...rowsOf(files.train), ...rowsOf(files.valid)]) {
      const story = instruction.slice(0, instruction.lastIndexOf('. ') + 1);
      expect(story.toLowerCase()).toContain(output.toLowerCase());
    }
    const tokenizer = await loadTokenizer(pathOf('assets/models/stories260k-hf'));
    const template = plainPromptTemplate(1);
    const encoding = { tokenizer, template, cutoffLength: 128 };
    const train = await prepareConversations([describeDataFile(files.train)], encoding);
    const valid = await prepareConversations([describeDataFile(files.valid)], encoding);
    expect(train.report).toMatchObject({ rows: 4000, keptRows: 4000, dropped: {} });
    const findings = checkDataset({
      tokenizer,
      template,
      modelVocabSize: 512,
      train: train.samples,
      validation: valid.samples,
      report: train.report,
    });
    expect(findings).toEqual([]);
  });
});
