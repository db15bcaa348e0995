/** Aligned columns and key–value blocks for people. */

/** How a column is laid out. */
export interface Column {
  /** Heading; no heading row is printed when every column's is empty. */
  readonly title: string;
  /** Default `left`. */
  readonly align?: 'left' | 'right';
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with the escape character
const COLOR_CODE = /\u001b\[[0-9;]*m/g;

/** Width of text in terminal cells: colour codes count nothing, wide East Asian characters two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text.replace(COLOR_CODE, '')) width += characterWidth(character);
  return width;
}

/**
 * Lays rows out in columns two spaces apart.
 *
 * Returns lines without trailing spaces; missing cells are empty.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const hasTitles = columns.some((column) => column.title !== '');
  const lines = hasTitles ? [columns.map((column) => column.title), ...rows] : rows;
  const widths = columns.map((_, i) =>
    lines.reduce((width, line) => Math.max(width, displayWidth(line[i] ?? '')), 0),
  );
  return lines.map((line) =>
    columns
      .map((column, i) => pad(line[i] ?? '', widths[i] ?? 0, column.align ?? 'left'))
      .join('  ')
      .trimEnd(),
  );
}

/** Lays out name and value pairs, the names padded to one width, indented by two spaces. */
export function formatFacts(facts: readonly (readonly [string, string])[]): string[] {
  const width = facts.reduce((most, [name]) => Math.max(most, displayWidth(name)), 0);
  return facts.flatMap(([name, value]) => {
    const [first, ...rest] = value.split('\n');
    const indent = ' '.repeat(width + 4);
    return [
      `  ${pad(name, width, 'left')}  ${first ?? ''}`.trimEnd(),
      ...rest.map((l) => indent + l),
    ];
  });
}

/** Shortens text to a number of characters, the last of which becomes `…`. */
export function truncateText(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  const isWide =
    code <= 0x115f ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd);
  return isWide ? 2 : 1;
}
