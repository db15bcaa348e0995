/** What can be seen on the texts of rows, before any token is made. */
import type {
  Conversation,
  ConversationMessage,
  RowOrigin,
  TextDocument,
} from '../../handlers/conversation.js';
import type { Tokenizer } from '../../tokenizer/index.js';
import { type Finding, FindingLog, percent, ROWS_SHOWN } from '../finding.js';
import { FINDINGS, type FindingCode } from '../finding-catalog.js';
import { type ScriptName, scriptOf } from './scripts.js';
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

type Find = (text: string) => string | undefined;

/** Looked for in every text. */
const IN_ALL: readonly (readonly [FindingCode, Find])[] = [
  ['mojibake', findMojibake],
  ['replacement_character', findReplacement],
  ['control_characters', findControl],
  ['invisible_characters', findInvisible],
  ['base64_blob', findBlob],
  ['personal_data', findPersonal],
  ['secret', findSecret],
];

/** Looked for in answers, which are what is learned, and in raw text. */
const IN_LEARNED: readonly (readonly [FindingCode, Find])[] = [
  ['html_left', findHtml],
  ['placeholder_text', findPlaceholder],
  ['repetitive_text', findRepetition],
  ['unbalanced_fence', findOpenFence],
];

/** Characters of an answer that is suspiciously short, and of the median that makes it so. */
const SHORT_CHARS = 2;
const LONG_CHARS = 50;
/** Chinese, Japanese and Korean characters say as much as several letters. */
const DENSE = /[\u3041-\u9fff\uac00-\ud7af]/g;
/** Share of rows up to which another script is an exception. */
const MINORITY_SHARE = 0.2;

const ORDER: readonly FindingCode[] = [
  'special_text',
  'foreign_markup',
  'empty_question',
  'mojibake',
  'replacement_character',
  'control_characters',
  'repetitive_text',
  'base64_blob',
  'unbalanced_fence',
  'placeholder_text',
  'html_left',
  'invisible_characters',
  'refusal',
  'secret',
  'personal_data',
  'answer_script',
];

/** Checks texts row by row; each row counts once per finding. */
export class TextChecks {
  readonly #log = new FindingLog();
  readonly #special: RegExp | null;
  readonly #scripts = new Map<ScriptName, { count: number; rows: RowOrigin[] }>();
  readonly #system = { with: 0, without: 0 };
  #answers = 0;
  #longAnswers = 0;

  constructor(tokenizer: Tokenizer) {
    this.#special = specialTokenPattern(tokenizer);
  }

  /** Checks a dialogue. */
  addConversation(row: Conversation): void {
    const { messages } = row;
    const answers = messages.filter(isAnswer).map(({ content }) => content);
    const texts = messages.map(({ content }) => content);
    for (const [code, find] of IN_ALL) this.#first(code, row, texts, find);
    for (const [code, find] of IN_LEARNED) this.#first(code, row, answers, find);
    this.#first('refusal', row, answers, findRefusal);
    this.#first('special_text', row, texts, (text) => this.#special?.exec(text)?.[0]);
    this.#first('foreign_markup', row, texts, (text) => {
      const found = findMarkup(text);
      return found !== undefined && this.#special?.test(found) !== true ? found : undefined;
    });
    const isEmpty = (m: ConversationMessage) => m.role === 'user' && m.content.trim() === '';
    if (messages.some(isEmpty)) this.#log.add('empty_question', row);
    if (messages[0]?.role === 'system') this.#system.with++;
    else {
      this.#system.without++;
      this.#log.add('mixed_system', row);
    }
    for (const answer of answers) this.#addLength(answer, row);
    this.#addScripts(row, answers);
  }

  /** Checks a raw text. */
  addDocument(row: TextDocument): void {
    for (const [code, find] of [...IN_ALL, ...IN_LEARNED]) this.#first(code, row, [row.text], find);
    this.#first('special_text', row, [row.text], (text) => this.#special?.exec(text)?.[0]);
    this.#countScript(scriptOf(row.text), row);
  }

  /** Everything found. */
  finish(): Finding[] {
    const { with: withSystem, without } = this.#system;
    const isLong = this.#longAnswers * 2 > this.#answers;
    return [
      ...ORDER.flatMap((code) => this.#log.take(code)),
      ...(withSystem > 0 && without > 0 ? this.#log.take('mixed_system') : []),
      ...(isLong ? this.#log.take('short_answer') : []),
      ...this.#scriptFinding(),
    ];
  }

  #first(code: FindingCode, row: RowOrigin, texts: readonly string[], find: Find): void {
    for (const text of texts) {
      const found = find(text);
      if (found === undefined) continue;
      this.#log.add(code, row, found);
      return;
    }
  }

  #addLength(answer: string, row: RowOrigin): void {
    this.#answers++;
    const length = answer.trim().replace(DENSE, 'xxx').length;
    if (length >= LONG_CHARS) this.#longAnswers++;
    if (length > 0 && length <= SHORT_CHARS) this.#log.add('short_answer', row, answer);
  }

  #addScripts(row: Conversation, answers: readonly string[]): void {
    const question = row.messages.findLast(({ role }) => role === 'user')?.content ?? '';
    const asked = scriptOf(withoutCode(question));
    const answered = scriptOf(withoutCode(answers.at(-1) ?? ''));
    this.#countScript(answered ?? asked, row);
    if (asked !== undefined && answered !== undefined && asked !== answered) {
      this.#log.add('answer_script', row, `${asked}, ${answered}`);
    }
  }

  #countScript(script: ScriptName | undefined, { source, row }: RowOrigin): void {
    if (script === undefined) return;
    const entry = this.#scripts.get(script) ?? { count: 0, rows: [] };
    if (entry.count === 0) this.#scripts.set(script, entry);
    entry.count++;
    if (entry.rows.length < ROWS_SHOWN) entry.rows.push({ source, row });
  }

  #scriptFinding(): Finding[] {
    const counts = [...this.#scripts].sort(([, a], [, b]) => b.count - a.count);
    const total = counts.reduce((sum, [, { count }]) => sum + count, 0);
    const others = counts.slice(1);
    const minority = others.reduce((sum, [, { count }]) => sum + count, 0);
    if (minority === 0 || minority / total > MINORITY_SHARE) return [];
    const shares = counts.map(([name, { count }]) => `${name} ${percent(count / total)}`);
    const rows = others.flatMap(([name, entry]) =>
      entry.rows.map((row) => ({ ...row, detail: name })),
    );
    const finding = { ...FINDINGS.mixed_scripts, code: 'mixed_scripts', count: minority };
    const what = `in another script than most (${shares.join(', ')})`;
    const { severity, code, count, fix } = finding;
    const message = `${count} ${count === 1 ? 'row' : 'rows'}: ${what}`;
    return [{ severity, code, message, count, rows: rows.slice(0, ROWS_SHOWN), fix }];
  }
}

function isAnswer({ role }: ConversationMessage): boolean {
  return role === 'assistant';
}

function withoutCode(text: string): string {
  return text.includes('```') ? text.replace(/```[\s\S]*?(?:```|$)/g, ' ') : text;
}

/** One pattern for every special token that is spelled with markers; null when there is none. */
function specialTokenPattern(tokenizer: Tokenizer): RegExp | null {
  const texts: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.isSpecial(id) ? tokenizer.idToToken(id) : undefined;
    if (token !== undefined && token.length > 1) texts.push(token);
  }
  const escaped = texts
    .sort((a, b) => b.length - a.length)
    .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return escaped.length === 0 ? null : new RegExp(escaped.join('|'));
}
