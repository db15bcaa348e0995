import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const reference = JSON.parse(
  readFileSync(
    new URL('../../../../packages/ggml/test/fixtures/stories260k-greedy.json', import.meta.url),
    'utf8',
  ),
) as { prompt: string; new_ids: number[] };

const base = ['generate', BUNDLED_MODEL, '--max-new-tokens', '12', '--prompt'];

describe('tuneyard generate', () => {
  it('writes the likeliest continuation to stdout and its speed to stderr', async () => {
    const run = await runFake([...base, 'Once upon a time']);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toBe(', there was a little girl named Lily. She\n');
    expect(run.stderr).toMatch(/^12 tokens, [\d.]+ tokens\/s, length reached\n$/);
  });

  it('reads the prompt from stdin and reports one JSON document with the ids of the reference', async () => {
    const run = await runFake([...base, '-', '--json'], { stdin: reference.prompt });
    expect(run.stderr).toBe('');
    expect(JSON.parse(run.stdout)).toMatchObject({
      prompt: reference.prompt,
      ids: reference.new_ids.slice(0, 12),
      finishReason: 'length',
    });
  });

  it('ends before a stop text', async () => {
    const run = await runFake([...base, 'Once upon a time', '--stop', ' girl']);
    expect(run.stdout).toBe(', there was a little\n');
    expect(run.stderr).toContain('ended by the model');
  });

  it('samples the same text for the same seed and another one for another', async () => {
    const sample = async (seed: string) =>
      (await runFake([...base, 'One day', '--temperature', '1', '--seed', seed])).stdout;
    expect(await sample('1')).toBe(await sample('1'));
    expect(await sample('1')).not.toBe(await sample('2'));
  });

  it('names the range of a number out of range', async () => {
    const run = await runFake([...base, 'x', '--top-p', '1.5']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/^error\[CLI_INVALID_VALUE\]: .*--top-p.*from 0 to 1/);
  });

  it('explains a model that is not there', async () => {
    const run = await runFake(['generate', '/nonexistent', '--prompt', 'x']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/^error\[WEIGHTS_MODEL_NOT_FOUND\]/);
  });
});

describe('tuneyard chat', () => {
  const chat = ['chat', BUNDLED_MODEL, '--max-new-tokens', '8', '--template', 'alpaca'];

  it('answers each line of stdin and follows slash commands', async () => {
    const run = await runFake(chat, { stdin: 'Hello\n/reset\nHello\n/exit\nnever\n' });
    expect(run.exitCode).toBe(0);
    const answers = run.stdout.trimEnd().split('\n\n').join('\n').split('\n');
    expect(answers.length).toBeGreaterThanOrEqual(2);
    expect(run.stdout.slice(0, run.stdout.length / 2).repeat(2)).toBe(run.stdout);
    expect(run.stderr).toBe('conversation forgotten\n');
  });

  it('writes one JSON line for each answer', async () => {
    const run = await runFake([...chat, '--json'], { stdin: 'Hello\nMore\n' });
    const replies = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(replies.map(({ event }) => event)).toEqual(['reply', 'reply']);
    expect(replies[1].promptTokens).toBeGreaterThan(replies[0].promptTokens);
  });

  it('lists built-in templates when the model has none', async () => {
    const run = await runFake(['chat', BUNDLED_MODEL]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/error\[CHAT_TEMPLATE_MISSING\].*\n.*\nhint: .*chatml/);
  });
});
