import { describe, expect, it } from 'vitest';
import { displayWidth, formatFacts, formatTable, truncateText } from './table.js';

describe('formatTable', () => {
  it('aligns columns and leaves no space at line ends', () => {
    const lines = formatTable(
      [{ title: 'name' }, { title: 'size', align: 'right' }, { title: '' }],
      [
        ['embed', '131 kB', ''],
        ['norm', '1 B', 'x'],
      ],
    );
    expect(lines).toEqual(['name     size', 'embed  131 kB', 'norm      1 B  x']);
  });

  it('counts colour codes as nothing and wide characters as two', () => {
    expect(displayWidth('\u001b[31mred\u001b[39m')).toBe(3);
    expect(displayWidth('模型')).toBe(4);
    const lines = formatTable(
      [{ title: '' }, { title: '' }],
      [
        ['模型', 'a'],
        ['abcd', 'b'],
      ],
    );
    expect(lines).toEqual(['模型  a', 'abcd  b']);
  });
});

describe('formatFacts', () => {
  it('indents the further lines of a value below its first', () => {
    expect(
      formatFacts([
        ['a', '1\n2'],
        ['long', '3'],
      ]),
    ).toEqual(['  a     1', '        2', '  long  3']);
  });
});

describe('truncateText', () => {
  it('counts characters, not code units', () => {
    expect(truncateText('😀😀😀', 3)).toBe('😀😀😀');
    expect(truncateText('😀😀😀😀', 3)).toBe('😀😀…');
  });
});
