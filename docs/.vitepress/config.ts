/** The documentation site: `npm run docs` builds it. The sidebar follows the files; a dead link fails the build. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';

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
  'sweeps',
  'data',
  'watching',
  'monitoring',
  'network',
  'containers',
  'security',
  'limits',
  'troubleshooting',
  'compatibility',
];
const others = pagesOf('.').filter(({ link }) => !guides.includes(link.slice(1)));

export default defineConfig({
  title: 'Kasane',
  description: 'Train neural networks on many machines from TypeScript.',
  // Links to examples and packages, of which the site has no pages, are for readers of the repository.
  ignoreDeadLinks: [/\.\.\/(examples|packages|README)/],
  themeConfig: {
    search: { provider: 'local' },
    outline: 'deep',
    sidebar: [
      {
        text: 'Guides',
        items: guides.flatMap((name) => pagesOf('.').filter(({ link }) => link === `/${name}`)),
      },
      { text: 'Concepts', items: pagesOf('concepts') },
      { text: 'Reference', items: pagesOf('reference') },
      { text: 'API of @kasane/client', collapsed: true, items: modulesOf('client') },
      { text: 'API of @kasane/tensor', collapsed: true, items: modulesOf('tensor') },
      { text: 'More', items: others },
      { text: 'Decisions', collapsed: true, items: pagesOf('decisions') },
    ],
  },
});
