/** How much a result depends on each key that varies, as bars. */
import { fill, h } from '../dom.ts';
import { wholePercent } from '../format.ts';
import { ownWords, type Page } from '../view.ts';
import { importanceOf, LEAST_ROWS } from './importance.ts';
import { scaleOf, type TableData } from './table-data.ts';
import type { Titles } from './titles.ts';

/** A forest that explains less of the variance has not learned enough to tell. */
const EXPLAINED = 0.1;
const LISTED = 12;

const english = {
  title: (metric: string) => `Importance for ${metric}`,
  hint: (explained: string) =>
    `How much worse a random forest predicts the metric when the values of a key are shuffled. It explains ${explained} of the variance.`,
  few: (least: number) => `It takes at least ${least} rows with a value to tell what matters.`,
  unclear:
    'These rows do not tell yet what matters: a random forest cannot predict the metric from these keys.',
};
const japanese: typeof english = {
  title: (metric) => `${metric}への重要度`,
  hint: (explained) =>
    `キーの値を入れ替えたときに、ランダムフォレストの予測がどれだけ悪くなるかを表します。分散の ${explained} を説明しています。`,
  few: (least) => `重要度を調べるには、値のある行が ${least} 行以上必要です。`,
  unclear:
    'これらの行からは、まだ重要度がわかりません。ランダムフォレストが、これらのキーから評価指標を予測できないためです。',
};

export class ImportanceCard {
  readonly element: HTMLElement;
  readonly #titles: Titles;
  readonly #words: typeof english;
  readonly #title = h('h3');
  readonly #list = h('div');
  #drawn = '';

  constructor(page: Page, titles: Titles) {
    this.#titles = titles;
    this.#words = ownWords(page, { en: english, ja: japanese });
    this.element = h('section', { class: 'card' }, this.#title, this.#list);
  }

  show(data: TableData, rows: readonly number[], settings: readonly string[], target: string): void {
    const words = this.#words;
    const title = this.#titles.of(target);
    const known = rows.filter((row) => data.number(target, row) !== undefined).sort((a, b) => a - b);
    const targets = known.map((row) => data.number(target, row)!);
    const drawn = JSON.stringify([target, settings, known, targets]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#title.textContent = words.title(title);
    const columns = settings.flatMap((key) => data.columns.get(key) ?? []);
    const features = columns.map((column) => {
      const { place } = scaleOf(column, known);
      return known.map((row) => place(column.values[row]) ?? Number.NaN);
    });
    const found = importanceOf(features, targets);
    if (!found || found.explained < EXPLAINED) {
      const why = targets.length < LEAST_ROWS ? words.few(LEAST_ROWS) : words.unclear;
      fill(this.#list, h('p', { class: 'faint' }, why));
      return;
    }
    const bars = columns
      .map(({ key }, index) => ({ name: this.#titles.of(key), part: found.parts[index]! }))
      .sort((a, b) => b.part - a.part)
      .slice(0, LISTED)
      .map(({ name, part }) =>
        h(
          'li',
          {},
          h('span', { class: 'key', title: name }, name),
          h('meter', { value: part, 'aria-label': name }),
          h('span', { class: 'number' }, wholePercent(part)),
        ),
      );
    fill(
      this.#list,
      h('ol', { class: 'bars' }, ...bars),
      h('p', { class: 'faint' }, words.hint(wholePercent(found.explained))),
    );
  }
}
