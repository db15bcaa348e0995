/** Python's `str.strip()`, which takes another set of characters for blanks than `String.prototype.trim`. */

/** Takes blanks off both ends of a text. */
export function stripBlanks(text: string): string {
  let begin = 0;
  let end = text.length;
  while (begin < end && isBlank(text.charCodeAt(begin))) begin++;
  while (end > begin && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(begin, end);
}

function isBlank(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 9 && code <= 13) || code >= 0x1c;
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (code >= 0x2000 && code <= 0x200a) || WIDE_BLANKS.includes(code);
}

const WIDE_BLANKS = [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000];
