import { EXIT_CODE_BY_CATEGORY, TuneyardError } from '@tuneyard/core';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, formatErrorReport, formatStack, reportError } from './error-report.js';

const plain = pc.createColors(false);

describe('reportError', () => {
  it('keeps code, details and hint of our own errors and lines the details up', () => {
    const error = new TuneyardError('GGUF_BAD_MAGIC', 'm.gguf is not a GGUF file', {
      details: { file: 'm.gguf', found: 'PK', allowed: ['GGUF', 'GGML'] },
      hint: 'Unpack the archive first.',
    });
    expect(formatErrorReport(reportError(error), plain)).toEqual([
      'error[GGUF_BAD_MAGIC]: m.gguf is not a GGUF file',
      '  file     m.gguf',
      '  found    PK',
      '  allowed  GGUF, GGML',
      'hint: Unpack the archive first.',
    ]);
  });

  it.each(Object.entries(EXIT_CODE_BY_CATEGORY))(
    'gives category %s its exit code %i',
    (category, exitCode) => {
      const error = new TuneyardError('X', 'x', {
        category: category as keyof typeof EXIT_CODE_BY_CATEGORY,
      });
      expect(exitCodeOf(reportError(error))).toBe(exitCode);
    },
  );

  it('explains errors of the operating system without their names', () => {
    const error = Object.assign(new Error("ENOENT: no such file or directory, open 'a.yaml'"), {
      code: 'ENOENT',
      path: 'a.yaml',
    });
    const report = reportError(error);
    expect(report).toMatchObject({ code: 'CLI_FILE_NOT_FOUND', category: 'not_found' });
    expect(report.message).toBe('No such file or directory: a.yaml');
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    expect(exitCodeOf(reportError(full))).toBe(5);
  });

  it('treats an abort inside a call of Node as a stop by the user', () => {
    const error = new DOMException('This operation was aborted', 'AbortError');
    expect(exitCodeOf(reportError(error))).toBe(130);
  });

  it('reports anything else as a mistake of the program with exit code 70', () => {
    for (const thrown of [new RangeError('boom'), 'boom', undefined, new Error('')]) {
      const report = reportError(thrown);
      expect(report.code).toBe('CLI_UNEXPECTED');
      expect(exitCodeOf(report)).toBe(70);
      expect(report.message).not.toBe('');
      expect(report.hint).toContain('--debug');
    }
  });

  it('shortens a detail that would flood the screen', () => {
    const error = new TuneyardError('X', 'x', { details: { list: Array(1000).fill('word') } });
    expect(formatErrorReport(reportError(error), plain)[1]?.length).toBeLessThan(320);
  });
});

describe('formatStack', () => {
  it('shows the stack and the causes', () => {
    const error = new Error('outer', { cause: new Error('inner') });
    const text = formatStack(error).join('\n');
    expect(text).toMatch(/^Error: outer\n {4}at /);
    expect(text).toContain('caused by Error: inner');
  });
});
