// The links of a page in Markdown, and those of them that lead nowhere.
import { existsSync } from 'node:fs';
import path from 'node:path';

export function linksOf(page: string): string[] {
  return [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
}

/** Anchors without a heading on the page, and files that are not there, seen from `folder`. */
export function brokenLinks(page: string, folder: string): string[] {
  const headings = new Set([...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) => anchorOf(title)));
  return linksOf(page).filter((link) =>
    link.startsWith('#') ? !headings.has(link.slice(1)) : !existsSync(path.join(folder, link.split('#', 1)[0]!)),
  );
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-');
}
