/** The documentation site: `npm run docs` builds it. The sidebars follow the files; a dead link fails the build. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DefaultTheme, defineConfig } from 'vitepress';

const docs = fileURLToPath(new URL('..', import.meta.url));
/** The pages of a folder by their first heading, in order of file names. */
const pagesOf = (folder: string) =>
  readdirSync(join(docs, folder))
    .filter((file) => file.endsWith('.md') && file !== 'index.md')
    .sort()
    .map((file) => {
      const heading = /^# (.*)$/m.exec(readFileSync(join(docs, folder, file), 'utf8'));
      return { text: heading?.[1] ?? file, link: `/${join(folder, file.replace(/\.md$/, ''))}` };
    });
/** The pages of a package's modules, which stand in folders as the modules do. */
const modulesOf = (name: string) =>
  readdirSync(join(docs, 'reference/api', name), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && file !== 'index.md')
    .map((file) => file.replace(/\.md$/, ''))
    .sort()
    .map((module) => ({ text: module, link: `/reference/api/${name}/${module}` }));
const guides = [
  'tutorial',
  'training',
  'models',
  'sweeps',
  'registry',
  'data',
  'python',
  'watching',
  'monitoring',
  'network',
  'containers',
  'security',
  'limits',
  'troubleshooting',
  'compatibility',
];

/** What the parts of a sidebar are called. */
interface Titles {
  readonly guides: string;
  readonly learn: string;
  readonly concepts: string;
  readonly reference: string;
  readonly api: (name: string) => string;
  readonly more: string;
  readonly decisions: string;
}
/** `folder` has the pages in one language; the reference and the decisions are the same for all. */
function sidebar(folder: string, titles: Titles): DefaultTheme.SidebarItem[] {
  const pages = pagesOf(folder);
  const guide = guides.map((name) => `/${join(folder, name)}`);
  const [tutorial, ...others] = guide.flatMap((path) => pages.filter(({ link }) => link === path));
  const learn = {
    ...{ text: titles.learn, link: `/${join(folder, 'learn/')}` },
    ...{ collapsed: true, items: pagesOf(join(folder, 'learn')) },
  };
  return [
    { text: titles.guides, items: [tutorial!, learn, ...others] },
    { text: titles.concepts, items: pagesOf(join(folder, 'concepts')) },
    { text: titles.reference, items: pagesOf('reference') },
    { text: titles.api('@kasane/client'), collapsed: true, items: modulesOf('client') },
    { text: titles.api('@kasane/tensor'), collapsed: true, items: modulesOf('tensor') },
    { text: titles.more, items: pages.filter(({ link }) => !guide.includes(link)) },
    { text: titles.decisions, collapsed: true, items: pagesOf('decisions') },
  ];
}

/**
 * The words of a text, for the search: Japanese has no spaces between them. Runs in browsers too, where it is a copy of its text.
 * Parts of keys such as `training.batch` are words of their own.
 */
const words = (text: string): string[] =>
  text
    .split(/[\n\r\p{Z}\p{P}]+/u)
    .flatMap((part) =>
      /[^\p{Script=Latin}\p{N}]/u.test(part)
        ? [...new Intl.Segmenter('ja', { granularity: 'word' }).segment(part)].map(({ segment }) => segment)
        : [part],
    );

export default defineConfig({
  title: 'Kasane',
  // Links to examples and packages, of which the site has no pages, are for readers of the repository.
  ignoreDeadLinks: [/\.\.\/(clients|examples|packages|README)/],
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        miniSearch: { options: { tokenize: words } },
        locales: {
          ja: {
            translations: {
              button: { buttonText: '検索', buttonAriaLabel: '検索' },
              modal: {
                displayDetails: '詳細を表示',
                resetButtonTitle: 'クリア',
                backButtonTitle: '検索を閉じる',
                noResultsText: '次の語に一致するページはありません：',
                footer: {
                  selectText: '開く',
                  selectKeyAriaLabel: 'Enter キー',
                  navigateText: '移動',
                  navigateUpKeyAriaLabel: '上矢印キー',
                  navigateDownKeyAriaLabel: '下矢印キー',
                  closeText: '閉じる',
                  closeKeyAriaLabel: 'Esc キー',
                },
              },
            },
          },
        },
      },
    },
    outline: 'deep',
  },
  locales: {
    root: {
      label: 'English',
      lang: 'en',
      description: 'Train neural networks on many machines from TypeScript.',
      themeConfig: {
        sidebar: sidebar('.', {
          guides: 'Guides',
          learn: 'Learn by layers',
          concepts: 'Concepts',
          reference: 'Reference',
          api: (name) => `API of ${name}`,
          more: 'More',
          decisions: 'Decisions',
        }),
      },
    },
    ja: {
      label: '日本語',
      lang: 'ja',
      description: '複数のマシンでニューラルネットワークを学習させる、TypeScript 製のソフトウェア。',
      themeConfig: {
        sidebar: sidebar('ja', {
          guides: 'ガイド',
          learn: '層から学ぶ',
          concepts: '概念',
          reference: 'リファレンス（英語）',
          api: (name) => `${name} の API（英語）`,
          more: 'その他',
          decisions: '設計上の決定（英語）',
        }),
        outline: { level: 'deep', label: 'このページの内容' },
        docFooter: { prev: '前のページ', next: '次のページ' },
        sidebarMenuLabel: 'メニュー',
        returnToTopLabel: 'トップへ戻る',
        langMenuLabel: '言語',
        skipToContentLabel: '本文へ移動',
        darkModeSwitchLabel: '配色',
        lightModeSwitchTitle: 'ライトモードに切り替える',
        darkModeSwitchTitle: 'ダークモードに切り替える',
        notFound: {
          title: 'ページが見つかりません',
          quote: 'リファレンスと設計上の決定は、英語のページだけです。',
          linkLabel: 'トップページ',
          linkText: 'トップページへ',
        },
      },
    },
  },
});
