/** The pages of docs/ja say what those of docs say. What is compared, and what is not, is in CONTRIBUTING.md. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkout } from './support/image.ts';
import { anchorsOf, differences, linksOf } from './support/translation.ts';

const docs = join(checkout, 'docs');
const notTranslated = /^(?:ja|decisions|reference|node_modules|\.vitepress)\//;
const pagesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .sort();
const english = pagesIn(docs).filter((path) => !notTranslated.test(path));
const japanese = pagesIn(join(docs, 'ja'));
const read = (path: string) => readFileSync(join(docs, path), 'utf8');

describe('the pages in Japanese', () => {
  it('are those in English', () => {
    const without = english.filter((path) => !japanese.includes(path));
    expect(without, 'pages of docs that docs/ja has not: translate them').toEqual([]);
    const left = japanese.filter((path) => !english.includes(path));
    expect(left, 'pages of docs/ja that docs has no more: delete or rename them').toEqual([]);
  });

  it.each(english.filter((path) => japanese.includes(path)))('%s is in step', (path) => {
    const found = differences({ path, text: read(path) }, { path: `ja/${path}`, text: read(`ja/${path}`) });
    const hint =
      'Change the Japanese sections as the English ones were changed ("Documentation" in CONTRIBUTING.md).';
    if (found.length > 0) expect.fail([...found, hint].join('\n\n'));
  });

  it('link to each other, and to sections that exist', () => {
    const pages = [...english, ...japanese.map((path) => `ja/${path}`)].map((path) => `docs/${path}`);
    const wrong = [...pages, 'README.md', 'README.ja.md'].flatMap((path) =>
      linksOf(readFileSync(join(checkout, path), 'utf8'))
        .filter((to) => !leadsSomewhere(path, to))
        .map((to) => `${path}: ${to}`),
    );
    const hint =
      'links that lead nowhere; a section in Japanese needs <a id="its-english-anchor"></a> above it';
    expect(wrong, hint).toEqual([]);
  });
});

/** A link from a page, in the language of that page if there is such a page. */
function leadsSomewhere(path: string, to: string): boolean {
  const [file, anchor] = to.split('#');
  const target = file ? join(dirname(path), file) : path;
  // The reference is generated, and may not be there.
  if (target.startsWith('docs/reference/')) return true;
  const inJapanese = /^docs\/ja\/|\.ja\.md$/.test(path);
  if (inJapanese && japanese.includes(target.replace('docs/', ''))) return false;
  if (!existsSync(join(checkout, target))) return false;
  return !anchor || anchorsOf(readFileSync(join(checkout, target), 'utf8')).has(anchor);
}

describe('a translation is out of step', () => {
  const page = [
    '# Data',
    '',
    'Up to 1.5 million rows, half of them in `train`; see [limits](limits.md#backup).',
    '',
    '```sh',
    'kasane init # for a start',
    '# one more comment',
    '```',
    '',
    '## Folders',
    '',
    '| Part | Rows |',
    '| ---- | ---- |',
    '| a    | 60   |',
    '',
    '- One',
    '- Two',
    '',
    '    kasane jobs      # all of them',
  ].join('\n');
  const translation = [
    '# データ',
    '',
    '最大 150 万行で、その 50 % が `train` です。[上限](limits.md#backup)も参照してください。',
    '',
    '```sh',
    'kasane init # 手始めに',
    '```',
    '',
    '<a id="folders"></a>',
    '',
    '## フォルダー',
    '',
    '| 部分 | 行数 |',
    '| ---- | ---- |',
    '| a    | 60   |',
    '',
    '- 1 つ目',
    '- 2 つ目',
    '',
    '    kasane jobs      # すべて',
    '',
    '<!-- only in Japanese -->',
    '',
    '## 訳語',
    '',
    '999',
    '',
    '<!-- end -->',
  ].join('\n');
  const found = (text: string) =>
    differences({ path: 'data.md', text: page }, { path: 'ja/data.md', text }).join('\n');

  it('not where only words, comments and its own parts differ', () => {
    expect(found(translation)).toBe('');
  });

  it.each([
    [
      '## フォルダー',
      '### フォルダー',
      'line 11, "### フォルダー", where the English page has line 10, "## Folders"',
    ],
    ['## フォルダー', 'フォルダー', 'the end of the page, where the English page has line 10, "## Folders"'],
    ['kasane init', 'kasane train', 'lines of code: number 1 is kasane train, and in English kasane init'],
    ['| a    | 60   |\n', '', 'table of 2 columns and 1 rows, and in English table of 2 columns and 2 rows'],
    ['- 2 つ目\n', '', 'blocks: number 2 is list of 1, and in English list of 2'],
    ['<a id="folders">', '<a id="formats">', 'the anchor above it is formats, and should be folders'],
    ['## フォルダー', '## フォルダー {#folders}', 'write <a id="folders"></a> above the heading'],
    ['60 ', '61 ', 'numbers missing: 60\n  numbers not in English: 61'],
    ['150 万', '15 万', 'numbers missing: 1500000'],
    ['`train`', 'train', 'inline code missing: `train`'],
    ['limits.md#backup', '../limits.md#backup', 'ok'],
    [
      'limits.md#backup',
      'limits.md#tokens',
      'links missing: limits.md#backup\n  links not in English: limits.md#tokens',
    ],
    [
      '- 1 つ目',
      '- `1` つ目',
      'docs/ja/data.md:11 "フォルダー" is not in step with docs/data.md:10 "Folders"',
    ],
  ])('%j becomes %j', (was, is, message) => {
    expect(found(translation.replace(was, is)) || 'ok').toContain(message);
  });
});

it('links of a translation count as those of the page', () => {
  const text = (to: string) => `---\nhero: { link: ${to} }\n---\n`;
  const of = (to: string) =>
    differences({ path: 'index.md', text: text('/tutorial') }, { path: 'ja/index.md', text: text(to) });
  expect(of('/ja/tutorial')).toEqual([]);
  expect(of('/ja/training')).toHaveLength(1);
});
