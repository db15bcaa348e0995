/** Keeps the tables of docs/data-doctor.md equal to the catalogue of findings. */
import { readFileSync } from 'node:fs';
import { FINDINGS, REJECT_BUCKETS } from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import { takeBucket } from '../src/doctor/check-dataset.js';
import { FindingLog } from '../src/doctor/finding.js';

const text = readFileSync(new URL('../../../docs/data-doctor.md', import.meta.url), 'utf8');
const documented = [...text.matchAll(/^\| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$/gm)].map(
  // Tags are marked as code there, or a browser would hide them.
  ([, code, severity, what, fix]) => ({
    code,
    severity,
    what,
    fix: fix?.replace(/`(<\w+>)`/g, '$1'),
  }),
);

const kinds = Object.entries(FINDINGS).map(([code, { severity, what, fix }]) => ({
  code,
  severity: severity as string,
  what: what as string,
  fix: fix as string,
}));

const buckets = REJECT_BUCKETS.flatMap((bucket) => {
  const log = new FindingLog();
  log.add(bucket, { source: 's', row: 1 });
  return takeBucket(log, bucket).map(({ code, severity, message, fix }) => ({
    code,
    severity: severity as string,
    what: message.replace('1 row: ', ''),
    fix,
  }));
});

describe('docs/data-doctor.md', () => {
  it('explains every finding, in the words that the program uses', () => {
    const byCode = <T extends { code: string | undefined }>(list: readonly T[]) =>
      list.toSorted((a, b) => (String(a.code) < String(b.code) ? -1 : 1));
    expect(byCode(documented)).toEqual(byCode([...kinds, ...buckets]));
  });

  it('gives every finding a name of its own', () => {
    const codes = [...kinds, ...buckets].map(({ code }) => code);
    expect(codes.length).toBe(new Set(codes).size);
    expect(codes.filter((code) => !/^[a-z][a-z0-9_]*$/.test(code))).toEqual([]);
  });
});
