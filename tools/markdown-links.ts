/** Finds links of Markdown pages that lead nowhere within the repository. */
import { posix } from 'node:path';
import type { TextFile } from './tidy-rules.js';

/** Returns `path:line target` of every relative link whose file or heading does not exist. */
export function brokenLinks(
  page: TextFile,
  pathExists: (path: string) => boolean,
  read: (path: string) => string | undefined,
): string[] {
  const broken: string[] = [];
  for (const { target, line } of linksOf(page.text)) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
    const [file = '', anchor] = decodeURIComponent(target).split('#', 2);
    const path =
      file === '' ? page.path : posix.normalize(posix.join(posix.dirname(page.path), file));
    const isFound = path !== '' && pathExists(path.replace(/\/$/, ''));
    const isHeadingFound =
      anchor === undefined || !path.endsWith('.md') || headingsOf(read(path) ?? '').has(anchor);
    if (!isFound || !isHeadingFound) broken.push(`${page.path}:${line} ${target}`);
  }
  return broken;
}

function linksOf(text: string): { target: string; line: number }[] {
  const links: { target: string; line: number }[] = [];
  let isCode = false;
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(```|~~~)/.test(line)) isCode = !isCode;
    if (isCode) continue;
    const prose = line.replace(/`[^`]*`/g, '');
    for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)/g)) {
      links.push({ target: match[1] ?? match[2] ?? '', line: index + 1 });
    }
  }
  return links;
}

/** Anchors of headings as GitHub makes them: lower case, punctuation dropped, spaces to hyphens. */
function headingsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const match of text.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const slug = (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}
