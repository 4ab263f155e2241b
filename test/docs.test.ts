/**
 * The documentation: every error is explained, the reference is generated whole, the site builds without a dead link, the README
 * says the same in both languages.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCodes } from '@kasane/protocol/errors';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';

const run = promisify(execFile);
const page = (name: string) => readFileSync(join(checkout, 'docs', name), 'utf8');

it('every error has its section, with its exit code, and nothing else has one', () => {
  const sections = page('troubleshooting.md')
    .split(/^## /m)
    .slice(1)
    .map((text) => [/^\w+/.exec(text)![0], Number(/Exit code (\d+)\./.exec(text)?.[1])]);
  const codes = Object.entries(errorCodes).map(([code, { exit }]) => [code, exit]);
  expect(sections).toEqual(codes);
});

it('every changeset names what it changes', () => {
  const folder = join(checkout, '.changeset');
  const names = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md');
  for (const name of names)
    expect(readFileSync(join(folder, name), 'utf8'), name).toMatch(
      /^---\n(?:(["'])@kasane\/\w+\1: (?:minor|patch)\n)+---\n\n\S/,
    );
});

it('the site builds, with the reference', { timeout: 600_000 }, async () => {
  const docs = join(checkout, 'scripts/docs.mjs');
  const { stderr } = await run(process.execPath, [docs], { maxBuffer: 16 << 20 });
  expect(stderr).not.toMatch(/dead link/);
  for (const name of [
    'index',
    'tutorial',
    'concepts/a-step',
    'reference/cli',
    'decisions/001-cli',
    'ja/index',
    'learn/index',
    'ja/learn/12-machines',
    'ja/data',
  ])
    expect(existsSync(join(checkout, 'docs/.vitepress/dist', `${name}.html`)), name).toBe(true);
  const cli = page('reference/cli.md');
  for (const command of ['train', 'coordinator', 'context add', 'data pack'])
    expect(cli).toContain(`## kasane ${command}\n`);
  expect(cli).toContain('Examples:');
  const job = page('reference/job-file.md');
  for (const key of ['training.learningRate', 'data.format', 'checkpoint.everySteps'])
    expect(job).toContain(`| \`${key}\` |`);
  expect(job.match(/^\| `data\.format` \|/gm)).toHaveLength(1);
  expect(page('reference/layers.md')).toMatch(/^## conv2d\n[^#]*\| `filters` \| an integer/m);
  expect(page('reference/presets.md')).toMatch(/^## resnet-18\n[^#]*\| `stem` \| imagenet or cifar/m);
  expect(page('reference/grpc.md')).toContain('service Jobs');
});

/** The sections of the README, and what they are called in Japanese. */
const sections: readonly (readonly [string, string])[] = [
  ['# Kasane', '# Kasane（重ね）'],
  ['Get started', 'はじめに'],
  ['What you get', '特徴'],
  ['Train on your own data', '自分のデータで学習させる'],
  ['Use several machines', '複数のマシンで使う'],
  ['How it works', '仕組み'],
  ['Guarantees', '保証'],
  ['Limitations', '制限事項'],
  ['Learn more', '詳しい情報'],
];

/** What a text has in common with its translation, by section: all but words, and the order of things within a sentence. */
function skeleton(file: string) {
  const text = readFileSync(join(checkout, file), 'utf8');
  return text.split(/^## /m).map((section) => {
    const [heading, ...lines] = section.split('\n');
    const isCode = (line: string) => line.startsWith('    ');
    const prose = lines.filter((line) => !isCode(line)).join('\n');
    const links = [...prose.matchAll(/(!?)\[[^\]]*\]\((\S+?)\)/g)].map(([, picture, to]) => picture! + to);
    return {
      heading,
      // Comments are translated.
      code: lines.filter(isCode).flatMap((line) => line.replace(/#.*/, '').trim() || []),
      paragraphs: prose.trim().split(/\n{2,}/).length,
      items: prose.match(/^- /gm)?.length ?? 0,
      terms: [...prose.matchAll(/`[^`]+`/g)].map(([term]) => term.replace(/\s+/g, ' ')).sort(),
      // The README in Japanese links to the pages in Japanese.
      links: links
        .filter((to) => !/^README/.test(to))
        .map((to) => to.replace('docs/ja/', 'docs/'))
        .sort(),
    };
  });
}

it('the README says the same in English and Japanese', () => {
  const [english, japanese] = ['README.md', 'README.ja.md'].map(skeleton);
  expect(english!.map(({ heading }) => heading)).toEqual(sections.map(([name]) => name));
  const translated = english!.map((section, i) => ({ ...section, heading: sections[i]![1] }));
  expect(japanese).toEqual(translated);
  const files = english!.flatMap(({ links }) => links).filter((to) => !to.includes(':'));
  for (const to of files)
    expect(existsSync(join(checkout, to.replace(/^!|#.*$/g, ''))), `${to} of README.md`).toBe(true);
});
