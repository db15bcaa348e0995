/**
 * Looks at one text for what should not be in training data. Each function gives what it found, in a few words, or
 * undefined.
 *
 * The patterns are meant to be quiet rather than complete: a finding that is mostly wrong is not read. Texts are not
 * trusted: every pattern takes time in proportion to the text.
 */
import { deflateRawSync } from 'node:zlib';

/**
 * UTF-8 read as Latin-1 or Windows-1252. Two-byte characters: Ã or Â and a sign that no word continues with; the
 * rest: leading and continuation characters that stand together in no language.
 */
const MOJIBAKE = new RegExp(
  [
    // Latin-1: a leading byte before a C1 control character, which no text holds.
    '[\\u00c2-\\u00f4][\\u0080-\\u009f]',
    'Ã[¡-¹¼-¿Ÿ€‚ƒ„†‡ˆ‰Š‹ŒŽœžš]',
    'Â[¡-ª¬-º¿]',
    'â€[™œžŸ˜“”¢¦¡"]|â‚¬|ï¿½|ðŸ[¡-¿‘’“”•–—˜™š›œžŸ‡Š‹ŒŽ€]',
    '(?:[äåæçèé][¡-¿ŠŒŽœžŸ€‚ƒ„…†‡ˆ‰‹“”•–—˜™š›]{2}){2}',
    '(?:[ÐÑ][¡-¿€‚ƒ„…†‡ˆ‰Š‹ŒŽ“”•–—˜™š›œžŸ]){3}',
  ].join('|'),
);

/** Text that was decoded with the wrong encoding. */
export function findMojibake(text: string): string | undefined {
  return around(text, MOJIBAKE);
}

/** The mark of a lost character. */
export function findReplacement(text: string): string | undefined {
  return around(text, /\ufffd/);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]/;

/** Control characters other than tab and line ends. */
export function findControl(text: string): string | undefined {
  const found = CONTROL.exec(text)?.[0];
  return found === undefined ? undefined : codePointName(found);
}

/** Zero-width blanks, direction marks, byte order marks and tag characters; not the joiners of emoji and Persian. */
const INVISIBLE =
  /[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\u00ad]|[\u{e0001}\u{e0020}-\u{e007f}]/u;

/** Characters that no reader sees. */
export function findInvisible(text: string): string | undefined {
  // Flags of regions (England, Wales) are spelled with tag characters after a black flag.
  const found = INVISIBLE.exec(text.replace(/\u{1f3f4}[\u{e0020}-\u{e007f}]+/gu, ''))?.[0];
  return found === undefined ? undefined : codePointName(found);
}

const ENTITY =
  /&(?:amp|lt|gt|quot|apos|nbsp|hellip|mdash|ndash|rsquo|lsquo|#\d{2,5}|#x[0-9a-f]{2,5});/i;
const TAG =
  /<\/?(?:p|div|br|span|a|li|ul|ol|table|td|tr|th|b|i|strong|em|h[1-6]|img|font|blockquote)(?:\s[^<>]*)?\/?>/gi;
/** Tags that make it markup rather than a mention of one. */
const TAGS_MIN = 2;

/** Entities, or several tags, outside code; nothing where the text speaks of HTML. */
export function findHtml(text: string): string | undefined {
  if (!text.includes('&') && !text.includes('<')) return undefined;
  if (/\b(?:x?html|xml|css|svg|markup|react|jsx|vue)\b/i.test(text)) return undefined;
  const prose = withoutCode(text);
  const tags = prose.match(TAG) ?? [];
  return around(prose, ENTITY) ?? (tags.length >= TAGS_MIN ? tags[0] : undefined);
}

const PLACEHOLDER =
  /\{\{[ \t]{0,9}[a-z_][a-z0-9_ .]{0,60}\}\}|\[(?:your|insert|recipient(?:'s)?|sender(?:'s)?|company(?:'s)?) [a-z' ]{2,30}\]|\blorem ipsum dolor\b/i;

/** A blank that a template of text left open; not in code. */
export function findPlaceholder(text: string): string | undefined {
  if (!/[{[]|lorem/i.test(text)) return undefined;
  return PLACEHOLDER.exec(withoutCode(text))?.[0];
}

const TEXT_FOR_RATIO = 400;
const RATIO_HIGH = 10;

/** How many times smaller deflate makes a text, where that is far more than for prose (2 to 4) or code (3 to 6). */
export function findRepetition(text: string): string | undefined {
  if (text.length < TEXT_FOR_RATIO) return undefined;
  const bytes = Buffer.from(text);
  const ratio = bytes.length / deflateRawSync(bytes, { level: 6 }).length;
  return ratio < RATIO_HIGH ? undefined : `packs ${Math.round(ratio)} times smaller`;
}

const BLOB = /[A-Za-z0-9+/_-]{200,}={0,2}/;

/** A run of 200 characters or more as base64 gives it: upper case, lower case and digits mixed. */
export function findBlob(text: string): string | undefined {
  if (text.length < 200) return undefined;
  const found = BLOB.exec(text)?.[0];
  if (found === undefined) return undefined;
  const begin = found.slice(0, 200);
  const isMixed = [/[A-Z]/g, /[a-z]/g, /\d/g].every(
    (kind) => (begin.match(kind) ?? []).length >= 10,
  );
  return isMixed ? `${found.length} characters: ${found.slice(0, 24)}…` : undefined;
}

/**
 * A code block that stays open. A fence may follow a list mark or a quote mark; a line with two of them is inline code;
 * a block may be closed at the end of its last line.
 */
export function findOpenFence(text: string): string | undefined {
  if (!text.includes('```')) return undefined;
  let fences = 0;
  for (const line of text.split('\n')) {
    if (!line.includes('```')) continue;
    const isFence = /^[ \t>]*(?:(?:[-*]|\d+\.)[ \t]+)?```(?!.*```)/.test(line);
    const isOpen = fences % 2 === 1;
    if (isFence || (isOpen && /[^`]```\s*$/.test(line))) fences++;
  }
  return fences % 2 === 1 ? `${fences} ${fences === 1 ? 'fence' : 'fences'}` : undefined;
}

const REFUSAL =
  /^(?:(?:i['’]?m|i am) (?:very |so |really )?sorry[,.]? (?:but )?(?:as an ai\b.{0,40})?i (?:can(?:no|['’])t|am (?:not able|unable)|won['’]t|do not|don['’]t have)|(?:sorry, (?:but )?)?i (?:can(?:no|['’])t|am (?:unable|not able) to|won['’]t be able to) (?:assist|help|fulfil|comply|provide|answer|do that|create|generate|engage)|as an ai (?:language )?model,? (?:i (?:can(?:no|['’])t|do(?:n['’]t| not)|am (?:unable|not)))|作为(?:一个|一款)?(?:人工智能|ai)(?:语言模型|助手)?[，,]?我(?:无法|不能)|(?:很)?(?:抱歉|对不起)[，,。]?我(?:无法|不能))/i;

/** An answer that begins as refusals do. */
export function findRefusal(text: string): string | undefined {
  return REFUSAL.exec(text.trimStart().slice(0, 200))?.[0];
}

const EMAIL = /(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,12}\b/g;
/** Domains set aside for examples (RFC 2606) and those that texts use as such. */
const EXAMPLE_DOMAIN =
  /@(?:[\w-]+\.)*(?:example|test|invalid|localhost|email|domain|company|yourdomain)(?:\.\w+)?$/i;
const PHONE =
  /(?:^|[\s(:])(?:\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?=$|[\s),.;!?])/;
/** Eleven digits alone are a phone number in Chinese text; elsewhere they may be anything. */
const CHINESE_PHONE = /(?<!\d)1[3-9]\d{9}(?!\d)/;

/** An e-mail address or a phone number, shown with its middle hidden; not those made for examples. */
export function findPersonal(text: string): string | undefined {
  const mail = text.includes('@')
    ? text.match(EMAIL)?.find((address) => !EXAMPLE_DOMAIN.test(address))
    : undefined;
  if (mail !== undefined) return hideMiddle(mail);
  const found =
    PHONE.exec(text) ?? (/[\u4e00-\u9fff]/.test(text) ? CHINESE_PHONE.exec(text) : null);
  const phone = found?.[0].replace(/^[\s(:]+/, '');
  // 555 stands for made-up numbers in North America.
  return phone === undefined || /\b555\b/.test(phone) ? undefined : hideMiddle(phone);
}

const SECRET =
  /\bsk-(?:[a-z]{1,12}-)?[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bhf_[A-Za-z0-9]{30,}\b|\bxox[abprs]-[A-Za-z0-9-]{20,}|\bAIza[\w-]{35}\b|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|(?<![\w-])eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{15,}/;

/** A key of a known service, a private key or a signed token, shown with its middle hidden. */
export function findSecret(text: string): string | undefined {
  const found = SECRET.exec(text)?.[0];
  return found === undefined ? undefined : hideMiddle(found);
}

/** Markers of well-known chat formats. */
const FOREIGN =
  /<\|(?:im_start|im_end|eot_id|start_header_id|end_header_id|begin_of_text|endoftext|user|assistant|system|end|observation)\|>|<(?:start|end)_of_turn>|\[\/?INST\]|<<\/?SYS>>|<[｜]\w+[｜]>|^### (?:Instruction|Response):\s*$/m;

/** A marker of a chat format. */
export function findMarkup(text: string): string | undefined {
  return FOREIGN.exec(text)?.[0].trim();
}

function withoutCode(text: string): string {
  return text.includes('`') ? text.replace(/```[\s\S]*?(?:```|$)|`[^`\n]*`/g, ' ') : text;
}

function around(text: string, pattern: RegExp): string | undefined {
  const found = pattern.exec(text);
  if (found === null) return undefined;
  const begin = Math.max(0, found.index - 12);
  return text.slice(begin, found.index + found[0].length + 12);
}

function codePointName(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

function hideMiddle(text: string): string {
  const shown = Math.min(3, Math.floor(text.length / 3));
  return `${text.slice(0, shown)}…${text.slice(-shown)}`;
}
