/** How two runs differ, in their job files and their results. */
import { differingPaths, RESULTS, valueAtPath } from '@kasane/protocol/internal/job/job-diff';
import { fill, h } from '../dom.ts';
import { setting } from '../format.ts';
import { specOf } from '../remote.ts';
import { jobAddress } from '../route.ts';
import { attempt, ownWords, type Page } from '../view.ts';
import type { TableData } from './table-data.ts';
import type { Titles } from './titles.ts';

const english = { title: 'Differences', key: 'Key', same: 'Job files and results are the same.' };
const japanese: typeof english = { title: '違い', key: 'キー', same: 'ジョブファイルも結果も同じです。' };

export class Differences {
  readonly element = h('section', { class: 'card', hidden: true });
  readonly #page: Page;
  readonly #titles: Titles;
  readonly #words: typeof english;
  #asked = '';
  #files: readonly unknown[] = [];
  #data: TableData | undefined;
  #rows: readonly number[] = [];

  constructor(page: Page, titles: Titles) {
    this.#page = page;
    this.#titles = titles;
    this.#words = ownWords(page, { en: english, ja: japanese });
  }

  /** @param jobs nothing is shown unless there are two @param rows where they are in `data` */
  show(jobs: readonly string[], data: TableData, rows: readonly number[]): void {
    this.#data = data;
    this.#rows = rows;
    const asked = jobs.length === 2 ? jobs.join() : '';
    if (asked === this.#asked) {
      if (this.#files.length === 2) this.#draw(jobs);
      return;
    }
    this.#asked = asked;
    this.#files = [];
    this.element.hidden = true;
    if (asked === '') return;
    attempt(this.#page, async () => {
      const files = (await Promise.all(jobs.map(specOf))).map((text) => JSON.parse(text) as unknown);
      if (asked !== this.#asked) return;
      this.#files = files;
      this.#draw(jobs);
    });
  }

  #draw(jobs: readonly string[]): void {
    const [data, rows, words] = [this.#data!, this.#rows, this.#words];
    const isResult = (key: string) =>
      key === 'value' || RESULTS.includes(key) || key.startsWith('testMetrics.');
    const results = [...data.columns].flatMap(([key, { values }]) => {
      const [one, other] = rows.map((row) => values[row]);
      if (!isResult(key) || JSON.stringify(one) === JSON.stringify(other)) return [];
      return [[this.#titles.of(key), ...rows.map((row) => this.#titles.text(key, values[row], data, row))]];
    });
    const settings = differingPaths(this.#files).map((path) => [
      path,
      ...this.#files.map((file) => setting(valueAtPath(file, path))),
    ]);
    const line = (cells: readonly string[]) =>
      h('tr', {}, h('th', { scope: 'row' }, cells[0]), ...cells.slice(1).map((cell) => h('td', {}, cell)));
    const heads = jobs.map((job) => h('th', { scope: 'col' }, h('a', { href: jobAddress(job) }, job)));
    const lines = [...settings, ...results];
    this.element.hidden = false;
    fill(
      this.element,
      h('h3', {}, words.title),
      lines.length === 0
        ? h('p', { class: 'faint' }, words.same)
        : h(
            'div',
            {
              class: 'scroll differences',
              tabindex: 0,
              'data-key': 'differences',
              role: 'region',
              'aria-label': words.title,
            },
            h(
              'table',
              {},
              h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, words.key), ...heads)),
              h('tbody', {}, ...lines.map(line)),
            ),
          ),
    );
  }
}
