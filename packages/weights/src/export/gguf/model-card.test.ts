import { expect, it } from 'vitest';
import { planCardFields } from './model-card.js';

it('reads licence, tags and languages from the head of a card', () => {
  const card = `---
license: other # see below
license_name: "tongyi"
license_link: https://example.org/LICENSE
language:
  - en
  - 'zh'
tags: [chat, text-generation]
model-index:
- name: x
  results: []
---
# license: not this
`;
  expect(new Map(planCardFields(card))).toEqual(
    new Map([
      ['general.license', { type: 'string', value: 'other' }],
      ['general.license.name', { type: 'string', value: 'tongyi' }],
      ['general.license.link', { type: 'string', value: 'https://example.org/LICENSE' }],
      ['general.tags', { type: 'array', itemType: 'string', value: ['chat', 'text-generation'] }],
      ['general.languages', { type: 'array', itemType: 'string', value: ['en', 'zh'] }],
    ] as const),
  );
});

it('finds nothing in a card without a head', () => {
  expect(planCardFields('# A model\nlicense: mit\n')).toEqual([]);
  expect(planCardFields('---\nlicense:\n---\n')).toEqual([]);
});
