/**
 * Compares a page of the documentation with its translation, section by section: everything but words. CONTRIBUTING.md says
 * what must be equal.
 */
import { dirname, join } from 'node:path';

/** A part of a page from one heading to the next. */
export interface Section {
  /** Without the marks in front of it. */
  readonly heading: string;
  /** 1 for `#`; 0 for what is above the first heading. */
  readonly level: number;
  readonly line: number;
  /** The id above the heading. */
  readonly anchor: string | undefined;
  /** The lines below the heading, with their numbers. */
  readonly lines: readonly Line[];
}
interface Line {
  readonly text: string;
  readonly line: number;
}
/** What a section has, apart from words. */
interface Skeleton {
  /** Paragraphs, lists, tables and code in the order of the page, with the sizes of lists and tables. */
  readonly blocks: readonly string[];
  readonly code: readonly string[];
  readonly terms: readonly string[];
  readonly links: readonly string[];
  readonly numbers: readonly number[];
  /** Numbers that a translation may have as figures, because the text has words for them. */
  readonly spelled: ReadonlySet<number>;
}
/** A page and where it is, in the folder of the documentation. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** What a translation may have for itself, such as its own part of the glossary. */
const own = /<!-- only in Japanese -->.*?<!-- end -->/gs;
const isFence = (text: string) => /^\s*```/.test(text);
const isIndented = (text: string) => /^ {4}\S/.test(text);
const anchorOf = (text: string) => /^<a id="([^"]*)"><\/a>$/.exec(text)?.[1];

/** The sections of a page. Headings within code are not headings. */
export function sectionsOf(text: string): Section[] {
  const kept = text.replace(own, (part) => part.replace(/[^\n]/g, ''));
  const top = { heading: '', level: 0, line: 1, anchor: undefined, lines: [] };
  const sections: (Section & { lines: Line[] })[] = [top];
  let fenced = false;
  let anchor: string | undefined;
  for (const [i, line] of kept.split('\n').entries()) {
    if (isFence(line)) fenced = !fenced;
    const [, marks, heading] = (!fenced && /^(#+) (.*)$/.exec(line)) || [];
    if (marks) sections.push({ heading: heading!, level: marks.length, line: i + 1, anchor, lines: [] });
    else sections.at(-1)!.lines.push({ text: line, line: i + 1 });
    if (line.trim()) anchor = anchorOf(line);
  }
  return sections.filter(({ level, lines }) => level > 0 || lines.some(({ text }) => text.trim()));
}

/** What a link to a section of a page may have after its `#`. */
export function anchorsOf(text: string): Set<string> {
  const sections = sectionsOf(text);
  return new Set(sections.flatMap(({ heading, anchor }) => [slugOf(heading), anchor ?? []].flat()));
}
const slugOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');

/** The links of a page to other files of the repository and to sections, as they are written. */
export const linksOf = (text: string): string[] =>
  sectionsOf(text)
    .flatMap(({ lines }) => parsed(lines).prose)
    .flatMap((line) => [...line.matchAll(/\]\((\S+?)\)/g)].map(([, to]) => to!))
    .filter((to) => !/^\w+:/.test(to));

/** What differs between a page and its translation, one text for each section that differs. */
export function differences(page: Page, translation: Page): string[] {
  const [original, translated] = [sectionsOf(page.text), sectionsOf(translation.text)];
  const outline = original.map(({ level }) => level);
  if (outline.join() !== translated.map(({ level }) => level).join())
    return [outlineDiffers(page, original, translation, translated)];
  return original.flatMap((section, i) => {
    const other = translated[i]!;
    const found = [
      ...anchorDiffers(section, other),
      ...compare(skeleton(section, page.path), skeleton(other, translation.path, page.path)),
    ];
    if (found.length === 0) return [];
    const where = (of: Page, { heading, line }: Section) => `docs/${of.path}:${line} "${heading}"`;
    return [
      [
        `${where(translation, other)} is not in step with ${where(page, section)}:`,
        ...found.map((difference) => `  ${difference}`),
      ].join('\n'),
    ];
  });
}

/** A section that moves takes its anchor along. */
function anchorDiffers({ heading }: Section, { heading: translated, anchor }: Section): string[] {
  const wanted = slugOf(heading);
  if (translated.includes('{#'))
    return [`GitHub shows {#...}: write <a id="${wanted}"></a> above the heading`];
  return anchor && anchor !== wanted ? [`the anchor above it is ${anchor}, and should be ${wanted}`] : [];
}

/** Both lists of headings, from the first that has no match. */
function outlineDiffers(page: Page, original: Section[], translation: Page, translated: Section[]): string {
  const at = original.findIndex(({ level }, i) => level !== translated[i]?.level);
  const first = at < 0 ? original.length : at;
  const shown = (sections: Section[]) => {
    const section = sections[first];
    return section
      ? `line ${section.line}, "${'#'.repeat(section.level)} ${section.heading}"`
      : 'the end of the page';
  };
  return [
    `docs/${translation.path} does not have the headings of docs/${page.path}, in number and level.`,
    `  The first difference: ${shown(translated)}, where the English page has ${shown(original)}.`,
  ].join('\n');
}

function compare(original: Skeleton, translated: Skeleton): string[] {
  const spelled = (number: number) => number <= 12 || original.spelled.has(number);
  return [
    ...lists('blocks', original.blocks, translated.blocks),
    ...lists('lines of code', original.code, translated.code),
    ...bags('inline code', original.terms, translated.terms),
    ...bags('links', original.links, translated.links),
    ...bags('numbers', original.numbers, translated.numbers, spelled),
  ];
}

/** The first place where two lists differ. */
function lists(kind: string, original: readonly string[], translated: readonly string[]): string[] {
  const count = Math.max(original.length, translated.length);
  for (let i = 0; i < count; i++)
    if (original[i] !== translated[i])
      return [
        `${kind}: number ${i + 1} is ${translated[i] ?? 'missing'}, and in English ${original[i] ?? 'not there'}`,
      ];
  return [];
}

/** What one has and the other has not, each as often as it stands there; the order within a section is free. */
function bags<T extends string | number>(
  kind: string,
  original: readonly T[],
  translated: readonly T[],
  mayBeAdded: (each: T) => boolean = () => false,
): string[] {
  const less = (from: readonly T[], what: readonly T[]) => {
    const left = [...what];
    return from.filter((each) => {
      const at = left.indexOf(each);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  const missing = less(original, translated);
  const added = less(translated, original).filter((each) => !mayBeAdded(each));
  return [
    ...(missing.length > 0 ? [`${kind} missing: ${missing.join(' ')}`] : []),
    ...(added.length > 0 ? [`${kind} not in English: ${added.join(' ')}`] : []),
  ];
}

/** `path` is the page's, `original` the path of the page that it translates: links count as those of that page. */
function skeleton({ heading, lines }: Section, path: string, original = path): Skeleton {
  const { blocks, code, prose } = parsed(lines);
  const text = [heading, ...prose].join('\n');
  // Those of the front matter are paths of the site: `link: /ja/tutorial`.
  const links = [...text.matchAll(/\]\((\S+?)\)|\blink: (\/[\w/-]*)/g)].map(([, to, inSite]) =>
    resolved(to ?? inSite!, path, original),
  );
  const words = text.replace(/\]\(\S+?\)/g, ']').replace(/`[^`]+`/g, ' ');
  return {
    blocks,
    code,
    terms: [...text.matchAll(/`[^`]+`/g)].map(([term]) => term),
    links,
    numbers: numbersOf(words),
    spelled: new Set(
      [...words.toLowerCase().matchAll(/[a-z]+/g)].flatMap(([word]) => numberWords.get(word) ?? []),
    ),
  };
}

/** The blocks of a section, its lines of code without comments, and the rest. */
function parsed(lines: readonly Line[]) {
  const blocks: string[] = [];
  const code: string[] = [];
  const prose: string[] = [];
  let fenced = false;
  let items = 0;
  let last = '';
  const open = (kind: string, name = kind) => {
    if (last !== kind) blocks.push(name);
    last = kind;
  };
  for (const { text } of lines) {
    if (isFence(text)) {
      fenced = !fenced;
      last = '';
      if (fenced) open('code', `code ${text.trim()}`);
    } else if (fenced || (last !== 'list' && isIndented(text))) {
      if (!fenced) open('indented code');
      code.push(...withoutComment(text));
    } else if (text.startsWith('|')) {
      const cells = text.split(/(?<!\\)\|/).length - 2;
      open('table', `table of ${cells} columns:`);
      blocks[blocks.length - 1] += ' |';
      if (!/^[|\s:-]+$/.test(text)) prose.push(text);
    } else if (/^(?:[-*]|\d+\.) /.test(text)) {
      items = last === 'list' ? items + 1 : 1;
      open('list');
      blocks[blocks.length - 1] = `list of ${items}`;
      prose.push(text.replace(/^\d+\./, ''));
    } else if (!text.trim()) {
      // Blank lines within a list or within indented code do not end it.
      if (last !== 'list' && last !== 'indented code') last = '';
    } else if (!anchorOf(text)) {
      open(last === 'list' && text.startsWith(' ') ? 'list' : 'paragraph');
      prose.push(text);
    }
  }
  return { blocks: blocks.map(countRows), code, prose };
}

/** `table of 2 columns: |||` with the number of rows, without the one of dashes. */
const countRows = (block: string) =>
  block.replace(/: ([|\s]+)$/, (_, rows) => ` and ${rows.split(' ').length - 1} rows`);

/** Comments are translated. Where a line has nothing else, nothing is left of it. */
function withoutComment(line: string): string[] {
  const code = line.replace(/(?:^|\s)(?:#|\/\/).*$/, '').trimEnd();
  return code ? [code] : [];
}

/** A link of a translation, as the page in its place would have it. */
function resolved(to: string, path: string, original: string): string {
  if (/^\w+:/.test(to) || to.startsWith('#')) return to;
  const language = path.slice(0, path.length - original.length);
  const target = to.startsWith('/') ? to.slice(1) : join(dirname(path), to);
  return language && target.startsWith(language) ? target.slice(language.length) : target;
}

const scales: ReadonlyMap<string, number> = new Map([
  ['thousand', 1e3],
  ['million', 1e6],
  ['billion', 1e9],
  ['万', 1e4],
  ['億', 1e8],
]);
/** All numbers: 60,000, 1.5 million, 1 億 3400 万. */
function numbersOf(text: string): number[] {
  const scale = [...scales.keys()].join('|');
  const figure = String.raw`\d[\d,]*(?:\.\d+)?`;
  const pattern = new RegExp(
    String.raw`(${figure})\s?億\s?(${figure})\s?万|(${figure})(?:\s(${scale}))?`,
    'g',
  );
  const value = (figures: string) => Number(figures.replaceAll(',', ''));
  return [...text.matchAll(pattern)].map(([, high, low, plain, unit]) =>
    high ? value(high) * 1e8 + value(low!) * 1e4 : value(plain!) * (scales.get(unit ?? '') ?? 1),
  );
}
const numberWords: ReadonlyMap<string, number[]> = new Map(
  Object.entries({
    ...{ thirteen: [13], fourteen: [14], fifteen: [15], sixteen: [16], seventeen: [17], eighteen: [18] },
    ...{ twenty: [20], thirty: [30], forty: [40], fifty: [50], sixty: [60], eighty: [80], ninety: [90] },
    ...{ hundred: [100], hundreds: [100], hundredth: [100], thousand: [1000], thousandth: [1000] },
    ...{ half: [0.5, 50], quarter: [25], million: [1e6], dozen: [12] },
  }),
);
