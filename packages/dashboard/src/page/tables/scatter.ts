/** Any two columns against each other, one point for each run. */
import { BLUE, Chart, type Curve, GREEN, ORANGE } from '../chart.ts';
import { h, offerOptions } from '../dom.ts';
import { ownWords, type Page } from '../view.ts';
import type { Compared } from './comparison.ts';
import { frontOf } from './front.ts';
import { type Scale, scaleOf, type TableData } from './table-data.ts';
import type { Titles } from './titles.ts';

/** Costs of a run: the less, the better. */
const COSTS = ['parameters', 'flops', 'seconds'];
/** The longest label of a choice on an axis, in characters. */
const SHORT = 14;

const english = {
  title: 'Scatter plot',
  x: 'Horizontal axis',
  y: 'Vertical axis',
  chosen: 'selected',
  others: 'runs',
  front: 'Pareto front',
};
const japanese: typeof english = {
  title: '散布図',
  x: '横軸',
  y: '縦軸',
  chosen: '選択中',
  others: '比較対象',
  front: 'パレートフロント',
};

interface ScatterShown {
  readonly data: TableData;
  readonly rows: readonly number[];
  readonly isChosen: (row: number) => boolean;
  /** Results, for which higher or lower is better; for keys of the job file, neither is. */
  readonly targets: readonly string[];
  readonly isHigherBetter: (target: string) => boolean;
}

interface Axis {
  readonly key: string;
  readonly scale: Scale;
  readonly number: (row: number) => number | undefined;
  readonly text: (value: number) => string;
}

/** A range tells more than a choice, and what all have more than what some have. */
function firstOf(settings: readonly string[], data: TableData): string | undefined {
  const numbers = settings.filter((key) => data.columns.get(key)?.isNumber);
  const whole = numbers.filter((key) => !data.columns.get(key)!.values.includes(null));
  return whole[0] ?? numbers[0] ?? settings[0];
}

/** An offset between -0.2 and 0.2, different for each row. */
const aside = (row: number): number => (((row * 0.618034) % 1) - 0.5) * 0.4;

export class ScatterCard {
  readonly element: HTMLElement;
  readonly #titles: Titles;
  readonly #words: typeof english;
  readonly #chart: Chart;
  readonly #x: HTMLSelectElement;
  readonly #y: HTMLSelectElement;
  #shown: ScatterShown | undefined;
  #order: readonly number[] = [];
  #made = '';

  constructor(page: Page, titles: Titles, choose: (id: string) => void) {
    this.#titles = titles;
    this.#words = ownWords(page, { en: english, ja: japanese });
    const words = this.#words;
    const again = () => this.#shown && this.show(this.#shown);
    this.#x = h('select', { 'aria-label': words.x, change: again });
    this.#y = h('select', { 'aria-label': words.y, change: again });
    const tools = h('div', { class: 'tools' }, h('label', {}, 'X', this.#x), h('label', {}, 'Y', this.#y));
    this.#chart = new Chart(
      {
        ...{ title: words.title, xLabel: '', height: 220, isScatter: true },
        onPick: (index) => {
          const id = this.#shown?.data.ids[this.#order[index] ?? -1];
          if (id !== undefined) choose(id);
        },
      },
      [tools],
    );
    this.element = this.#chart.element;
  }

  /** Offers what can be on an axis; at first, `scattered` or a key that varies on X, and the first result on Y. */
  offer({
    data,
    settings,
    targets,
    scattered,
  }: Pick<Compared, 'data' | 'settings' | 'targets' | 'scattered'>): void {
    const keys = [...new Set([...settings, ...targets, ...data.columns.keys()])].filter((key) => {
      const values = data.columns.get(key)?.values;
      // Of a sweep that has just begun, they are the same in all trials, or not there yet.
      if (scattered !== undefined && [scattered, targets[0]].includes(key)) return true;
      return values && new Set(values.map((value) => JSON.stringify(value))).size > 1;
    });
    const options = keys.map((key) => [key, this.#titles.of(key)] as const);
    const varying = settings.filter((key) => keys.includes(key));
    offerOptions(this.#x, options, scattered ?? firstOf(varying, data));
    offerOptions(this.#y, options, targets[0]);
  }

  show(shown: ScatterShown): void {
    this.#shown = shown;
    const { data, rows, isChosen } = shown;
    const [x, y] = [this.#axis(this.#x.value), this.#axis(this.#y.value)];
    if (!x || !y) return;
    const made = JSON.stringify(
      [x, y].map(({ key, scale: { isLogarithmic, choices } }) => [key, isLogarithmic, choices]),
    );
    if (made !== this.#made) {
      this.#made = made;
      this.#chart.change({
        xLabel: this.#titles.of(x.key),
        ...{ xLogarithmic: x.scale.isLogarithmic, logarithmic: y.scale.isLogarithmic },
        ...{ xFormat: x.text, format: y.text },
        xText: (given, index) =>
          `${x.text(x.scale.choices ? Math.round(given) : given)} (${this.#shown!.data.ids[this.#order[index] ?? -1] ?? ''})`,
      });
    }
    const known = rows.filter((row) => x.number(row) !== undefined && y.number(row) !== undefined);
    // Many runs have the same choice: they are spread out sideways.
    const place = (row: number) => x.number(row)! + (x.scale.choices ? aside(row) : 0);
    this.#order = known.sort((a, b) => place(a) - place(b) || a - b);
    const places = this.#order.map(place);
    const series = (label: string, color: string, isIn: (row: number) => boolean): Curve => ({
      ...{ label, color, dots: true, x: places },
      y: this.#order.map((row) => (isIn(row) ? y.number(row)! : null)),
    });
    this.#chart.update([
      series(this.#words.others, BLUE, (row) => !isChosen(row)),
      ...(data.rows.some(isChosen) ? [series(this.#words.chosen, ORANGE, isChosen)] : []),
      ...this.#front(x, y, places),
    ]);
  }

  /** The Pareto front if both axes are results. @param places x values of the rows, in order */
  #front(x: Axis, y: Axis, places: readonly number[]): readonly Curve[] {
    const { targets, isHigherBetter } = this.#shown!;
    const signs = [x, y].map(({ key }) => {
      if (COSTS.includes(key)) return 1;
      return targets.includes(key) ? (isHigherBetter(key) ? -1 : 1) : 0;
    });
    if (signs.includes(0) || x.key === y.key) return [];
    const front = new Set(
      frontOf(this.#order.map((row) => [signs[0]! * x.number(row)!, signs[1]! * y.number(row)!] as const)),
    );
    const values = this.#order.map((row, index) => (front.has(index) ? y.number(row)! : null));
    return [{ label: this.#words.front, color: GREEN, sparse: true, x: places, y: values }];
  }

  destroy(): void {
    this.#chart.destroy();
  }

  #axis(key: string): Axis | undefined {
    const { data, rows } = this.#shown!;
    const column = data.columns.get(key);
    if (!column) return undefined;
    const scale = scaleOf(column, rows);
    const { choices } = scale;
    if (!choices)
      return {
        ...{ key, scale, number: (row) => data.number(key, row) },
        text: (value) => this.#titles.valueText(key, value, this.#shown!.data),
      };
    const places = new Map(choices.map((choice, index) => [JSON.stringify(choice), index]));
    return {
      ...{ key, scale },
      number: (row) => places.get(JSON.stringify(column.values[row] ?? null)),
      text: (value) => {
        if (!Number.isInteger(value) || value < 0 || value >= choices.length) return '';
        const text = this.#titles.valueText(key, choices[value], this.#shown!.data);
        return text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text;
      },
    };
  }
}
