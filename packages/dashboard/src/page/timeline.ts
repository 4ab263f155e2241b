/**
 * Who computed which shard of which step: a column a step, a row a shard, a colour a worker. A column is drawn once, to a side, and
 * copied from then on: of hundreds of shards all of them took a tenth of a second.
 */
import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { color, fill, h } from './dom.ts';
import { grouped, hueOf } from './format.ts';
import { SHARD_POINTS } from './metrics-history.ts';
import type { Page } from './view.ts';

const CELL = 14;
/** Workers in the legend. */
const NAMED = 24;
/** Below the columns, for the mark of the step that is chosen. */
const MARK = 6;

export class Timeline {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #canvas: HTMLCanvasElement;
  readonly #scroll: HTMLElement;
  readonly #legend = h('div', { class: 'legend' });
  readonly #aside = h('canvas');
  /** Where beside it is the column of a point. */
  readonly #columns = new Map<StepMetrics, number>();
  readonly #colors = new Map<string, string>();
  #points: readonly StepMetrics[] = [];
  #named = '';
  #atEnd = true;

  /** @param choose is called with a step that was clicked on */
  constructor(page: Page, choose: (step: number) => void) {
    this.#page = page;
    this.#canvas = h('canvas', {
      ...{ role: 'img', class: 'timeline' },
      click: (event) => {
        const { left, width } = this.#canvas.getBoundingClientRect();
        const at = Math.floor((((event as MouseEvent).clientX - left) / width) * this.#points.length);
        const point = this.#points[Math.max(0, Math.min(this.#points.length - 1, at))];
        if (point) choose(point.step);
      },
    });
    this.#scroll = h('div', { class: 'scroll', tabindex: 0, 'data-key': 'timeline' }, this.#canvas);
    this.#scroll.addEventListener('scroll', () => {
      const { scrollLeft, clientWidth, scrollWidth } = this.#scroll;
      this.#atEnd = scrollLeft + clientWidth >= scrollWidth - CELL;
    });
    this.element = h('div', {}, this.#scroll, this.#legend);
  }

  /** @param points at most SHARD_POINTS @param chosen step that is marked */
  show(points: readonly StepMetrics[], chosen: number): void {
    const { t } = this.#page;
    this.#points = points;
    const rows = Math.max(...points.map(({ workers }) => workers.length));
    const height = Math.max(3, Math.min(CELL, Math.floor(400 / rows)));
    const names = [...new Set(points.flatMap(({ workers }) => workers))].sort();
    // A worker keeps its colour when others come and go.
    for (const name of names)
      if (!this.#colors.has(name)) this.#colors.set(name, `hsl(${hueOf(this.#colors.size)} 60% 52%)`);
    this.#drawAside(rows * height, height);
    const canvas = this.#canvas;
    canvas.width = points.length * CELL;
    canvas.height = rows * height + MARK;
    const context = canvas.getContext('2d')!;
    for (const [index, point] of points.entries()) {
      const from = this.#columns.get(point)! * CELL;
      context.drawImage(this.#aside, from, 0, CELL, rows * height, index * CELL, 0, CELL, rows * height);
    }
    context.fillStyle = color('--text');
    const mark = points.findIndex(({ step }) => step === chosen);
    if (mark >= 0) context.fillRect(mark * CELL, rows * height + 2, CELL - 1, 4);
    canvas.setAttribute(
      'aria-label',
      `${t.timeline}: ${names.length} ${t.worker}, ${t.step} ${grouped(points[0]!.step)} - ${grouped(points.at(-1)!.step)}`,
    );
    // What is newest stays in sight, unless somebody has scrolled away from it.
    if (this.#atEnd) this.#scroll.scrollLeft = this.#scroll.scrollWidth;
    this.#drawLegend(names);
  }

  /** Draws the columns of points that are new, in the place of those that are gone. */
  #drawAside(tall: number, height: number): void {
    const [aside, columns] = [this.#aside, this.#columns];
    if (aside.height !== tall) {
      columns.clear();
      aside.width = SHARD_POINTS * CELL;
      aside.height = tall;
    }
    const there = new Set(this.#points);
    for (const point of columns.keys()) if (!there.has(point)) columns.delete(point);
    const taken = new Set(columns.values());
    const free = Array.from({ length: SHARD_POINTS }, (_, column) => column).filter((one) => !taken.has(one));
    const context = aside.getContext('2d')!;
    const bad = color('--bad');
    for (const point of this.#points) {
      if (columns.has(point)) continue;
      const column = free.shift()!;
      columns.set(point, column);
      this.#drawColumn(context, point, column * CELL, height, bad);
    }
  }

  #drawColumn(
    context: CanvasRenderingContext2D,
    { workers, shards }: StepMetrics,
    x: number,
    height: number,
    bad: string,
  ): void {
    context.clearRect(x, 0, CELL, context.canvas.height);
    const slowest = Math.max(...shards.map(({ answeredMs }) => answeredMs));
    for (const [shard, worker] of workers.entries()) {
      context.fillStyle = this.#colors.get(worker)!;
      // How long it took, beside the slowest of its step.
      context.globalAlpha =
        0.35 + 0.65 * Math.min(1, (shards[shard]?.answeredMs ?? slowest) / (slowest || 1));
      context.fillRect(x, shard * height, CELL - 1, height - (height > 4 ? 1 : 0));
      if ((shards[shard]?.attempt ?? 1) > 1) {
        context.globalAlpha = 1;
        context.fillStyle = bad;
        context.fillRect(x + 4, shard * height + height / 2 - 2, 5, 4);
      }
    }
    context.globalAlpha = 1;
  }

  #drawLegend(names: readonly string[]): void {
    const named = names.join();
    if (named === this.#named) return;
    this.#named = named;
    const entries = names
      .slice(0, NAMED)
      .map((name) => h('span', {}, h('i', { style: `background: ${this.#colors.get(name)}` }), name));
    fill(this.#legend, ...entries, names.length > NAMED && `+ ${names.length - NAMED}`);
  }
}
