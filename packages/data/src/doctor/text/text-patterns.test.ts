import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  findBlob,
  findControl,
  findHtml,
  findInvisible,
  findMarkup,
  findMojibake,
  findOpenFence,
  findPersonal,
  findPlaceholder,
  findRefusal,
  findRepetition,
  findReplacement,
  findSecret,
} from './text-patterns.js';

/** UTF-8 read as Latin-1: what a wrong decoder makes of a text. */
const asLatin1 = (text: string) => Buffer.from(text).toString('latin1');
/** Windows-1252 at 0x80 to 0x9F; the five bytes that it leaves undefined stay what they are in Latin-1. */
const CP1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';
/** UTF-8 read as Windows-1252, which is what most wrong decoders are. Node 20 itself reads it as Latin-1. */
const asWindows1252 = (text: string) =>
  asLatin1(text).replace(/[\u0080-\u009f]/g, (unit) => CP1252[unit.charCodeAt(0) - 0x80]!);

interface Case {
  readonly find: (text: string) => string | undefined;
  readonly yes: readonly string[];
  readonly no: readonly string[];
}

const sentence = 'The quick brown fox jumps over the lazy dog while the band plays on. ';
const words = Array.from({ length: 120 }, (_, i) => `word${(i * 7919) % 1009}`).join(' ');
const base64 = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 197 + 11) % 256)).toString(
  'base64',
);

const CASES: { readonly [name: string]: Case } = {
  mojibake: {
    find: findMojibake,
    yes: [
      asLatin1('café'),
      asWindows1252('Grüße aus München'),
      asWindows1252('It’s “fine” — really…'),
      asLatin1('It’s “fine” — really…'),
      asLatin1('smile 😀'),
      asWindows1252('日本語のテキスト'),
      asWindows1252('中文数据集'),
      asWindows1252('Привет, мир'),
      asWindows1252('smile 😀'),
      asLatin1('naïve 25 °C'),
      'lost ï¿½ forever',
    ],
    no: [
      'café, Grüße, naïve, 25 °C, £5, «oui», ¿qué?',
      'NÃO É AMANHÃ',
      'A MANHÃ… começa',
      'Ça va à Âge âne',
      'Привет, Ёжик; Ñandú',
      '日本語 café 😀',
      'Ünïcödé',
    ],
  },
  'lost characters': {
    find: findReplacement,
    yes: ['caf\ufffd'],
    no: ['café?', 'U+FFFD'],
  },
  'control characters': {
    find: findControl,
    yes: ['a\u0000b', '\u001b[31mred\u001b[0m', 'page\u000cbreak', 'x\u0093y'],
    no: ['tab\there', 'line\r\nline\n', 'next\u0085line'],
  },
  'invisible characters': {
    find: findInvisible,
    yes: ['a\u200bb', '\ufeffstart', 'abc\u202edef', 'soft\u00adhyphen', 'x\u{e0041}y'],
    no: [
      'family 👨\u200d👩\u200d👧',
      'می\u200cخواهم',
      'England 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
    ],
  },
  HTML: {
    find: findHtml,
    yes: ['Fish &amp; chips', 'It&#39;s', '<p>One</p>\n<p>Two</p>', 'line<br/>line<br/>'],
    no: [
      'R&D; and a & b',
      'Use a <b> tag', // one tag is a mention
      'In HTML, &amp; stands for an ampersand',
      '```\n<div><p>code</p></div>\n```',
      'if a < b and c > d then',
      'Write `&lt;` and `<br><br>`',
    ],
  },
  placeholders: {
    find: findPlaceholder,
    yes: [
      'I am {{name}}.',
      'Dear [Your Name],',
      'Regards, [Company Name]',
      'Lorem ipsum dolor sit',
    ],
    no: [
      'Use `{{name}}` in the template',
      '```\n{{ user.name }}\n```',
      '\\frac{{1}}{2}',
      'see [your mileage may vary](x)'.replace('your mileage may vary', 'link'),
      '[1] and [note]',
      'let x = {{}};',
    ],
  },
  repetition: {
    find: findRepetition,
    yes: [sentence.repeat(30), 'ha'.repeat(400)],
    no: [words, sentence, `${words} ${sentence.repeat(3)}`, '1,2,3\n'.repeat(20)],
  },
  'encoded bytes': {
    find: findBlob,
    yes: [base64, `![x](data:image/png;base64,${base64})`],
    no: ['ACGT'.repeat(80), 'a'.repeat(300), '0123456789'.repeat(40), base64.slice(0, 150), words],
  },
  'open code blocks': {
    find: findOpenFence,
    yes: ['```js\nlet a;', 'one\n```\na\n```\nthen\n```py\nb', '- ```sh\n  ls'],
    no: [
      '```js\nlet a;\n```',
      'use ``` to open',
      '1. ```sh\n   ls\n   ```',
      '```ls -l```',
      '```html\n<p></p>```\nso',
    ],
  },
  refusals: {
    find: findRefusal,
    yes: [
      "I'm sorry, but I can't assist with that.",
      'I am sorry, I cannot help with this request.',
      'As an AI language model, I do not have feelings.',
      'Sorry, but I cannot provide medical advice.',
      '抱歉，我无法回答这个问题。',
      '作为一个AI语言模型，我不能提供。',
    ],
    no: [
      "I'm sorry for your loss.",
      'I am sorry to hear that. Try restarting.',
      'I cannot believe how well it went!',
      'Sorry, we are closed on Mondays.',
      'The model said: as an AI language model, I cannot',
      '抱歉，让您久等了。',
    ],
  },
  'personal data': {
    find: findPersonal,
    yes: [
      'write to jane.doe@gmail.com today',
      'call +49 30 1234567',
      'ring (212) 867-5309',
      '手机 13812345678',
    ],
    no: [
      'write to jane@example.com',
      'user@test and a@b',
      'call 555-123-4567 or (212) 555-0199',
      'ISBN 978-3-16-148410-0',
      'order 12345678901234',
      'the sum is 13812345678',
      '192.168.0.1 and 3.14159',
      'npm i @scope/pkg@1.2.3',
    ],
  },
  secrets: {
    find: findSecret,
    yes: [
      `sk-${'a1B2c3D4e5'.repeat(3)}`,
      'AKIAABCDEFGHIJKLMNOP',
      `ghp_${'x'.repeat(36)}`,
      '-----BEGIN RSA PRIVATE KEY-----',
    ],
    no: [
      'sk-learn and task-list',
      'AKIA is a prefix',
      'YOUR_API_KEY',
      '-----BEGIN CERTIFICATE-----',
    ],
  },
  markers: {
    find: findMarkup,
    yes: ['<|im_start|>user', 'x [INST] y', 'a<end_of_turn>', 'text\n### Response:\nmore'],
    no: ['a <| b |> c', '[INSTALL]', '### Responses\n', 'see Response: 5'],
  },
};

describe('looking at a text', () => {
  for (const [name, { find, yes, no }] of Object.entries(CASES)) {
    it(`finds ${name}`, () => {
      expect(yes.filter((text) => find(text) === undefined)).toEqual([]);
    });
    it(`leaves alone what only looks like ${name}`, () => {
      expect(no.flatMap((text) => find(text) ?? [])).toEqual([]);
    });
  }

  it('takes time in proportion to the text, whatever the text', () => {
    const n = 400_000;
    const hostile = [
      `${'a'.repeat(n)}@`,
      `@${'a.'.repeat(n / 2)}`,
      'a@'.repeat(n / 2),
      `a@${'a-'.repeat(n / 2)}`,
      `{{a${' '.repeat(n)}`,
      '{{a '.repeat(n / 4),
      '<a '.repeat(n / 3),
      `<a ${'x'.repeat(n)}`,
      '```'.repeat(n / 3),
      '``` '.repeat(n / 4),
      `${'` '.repeat(n / 2)}{{a`,
      'eyJ-'.repeat(n / 4),
      'sk-a'.repeat(n / 4),
      '+1 1'.repeat(n / 4),
      '123-'.repeat(n / 4),
      `### Response:${'\n'.repeat(n)}x`,
      '### Response:\n'.repeat(n / 14),
      'é€'.repeat(n / 2),
      'Ã'.repeat(n),
      'ÐÐ°'.repeat(n / 3),
      `${'A'.repeat(199)} `.repeat(n / 200),
      '&'.repeat(n),
      '[your '.repeat(n / 6),
      `\u{1f3f4}${'\u{e0061}'.repeat(n / 2)}`,
    ];
    const finds = Object.values(CASES).map(({ find }) => find);
    for (const text of hostile) for (const find of finds) find(text);
  });

  it('shows personal data and keys with their middle hidden', () => {
    expect(findPersonal('mail jane.doe@gmail.com')).toBe('jan…com');
    expect(findSecret('AKIAABCDEFGHIJKLMNOP')).toBe('AKI…NOP');
  });
});
