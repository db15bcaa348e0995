/** Text from files and models, made safe to print on a terminal. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL_EXCEPT_LAYOUT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Writes control characters as escapes (`\n`, `\x1b`), so that a name or value stays on its line. */
export function visibleText(text: string): string {
  return text.replace(CONTROL, escapeControl);
}

/** Drops control characters other than line ends and tabs: text of a model cannot drive the terminal. */
export function harmlessText(text: string): string {
  return text.replace(CONTROL_EXCEPT_LAYOUT, '');
}

function escapeControl(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  if (character === '\r') return '\\r';
  const code = character.charCodeAt(0);
  return code < 256
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
