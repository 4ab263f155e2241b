/** Which classes a job's newest test takes for which: a table whose cells are the darker, the more of a class they hold. */
import type { GetConfusionResponse, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { fill, h } from './dom.ts';
import { grouped, percent } from './format.ts';
import { confusionOf } from './remote.ts';
import { attempt, type Page } from './view.ts';

/** With more classes, cells have no numbers: they would be too small to read. */
const NUMBERED = 20;

export class ConfusionCard {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #title = h('h3', {});
  readonly #table = h('div', { class: 'scroll', 'data-key': 'confusion', tabindex: 0 });
  /** Of which epoch it was asked for. */
  #askedFor = 0;

  constructor(page: Page) {
    this.#page = page;
    this.element = h(
      'section',
      { class: 'card', hidden: true },
      this.#title,
      h('p', { class: 'faint' }, page.t.confusionHint),
      this.#table,
    );
  }

  update(job: Job): void {
    // Nothing else has a precision: a binary objective has no matrix, and says so.
    if (job.history.at(-1)?.testMetrics?.precision === undefined || job.epoch === this.#askedFor) return;
    this.#askedFor = job.epoch;
    attempt(this.#page, async () => this.#draw(await confusionOf(job.id)));
  }

  #draw({ epoch, classes, counts }: GetConfusionResponse): void {
    if (epoch === 0) return;
    const { t } = this.#page;
    this.element.hidden = false;
    this.#title.textContent = `${t.confusion} (${t.inEpoch(epoch)})`;
    const head = (name: string, scope: 'row' | 'col') => h('th', { scope, title: name }, name);
    const rows = classes.map((name, actual) => {
      const row = counts.slice(actual * classes.length, (actual + 1) * classes.length);
      const total = row.reduce((sum, count) => sum + count, 0);
      const cells = row.map((count, predicted) =>
        h(
          'td',
          {
            class: predicted === actual ? 'right' : 'wrong',
            style: `--part: ${total > 0 ? (count / total).toFixed(4) : 0}`,
            title: t.confused(
              name,
              classes[predicted]!,
              grouped(count),
              percent(total > 0 ? count / total : 0),
            ),
          },
          classes.length <= NUMBERED && count > 0 ? grouped(count) : '',
        ),
      );
      return h('tr', {}, head(name, 'row'), ...cells);
    });
    fill(
      this.#table,
      h(
        'table',
        { class: `confusion${classes.length > NUMBERED ? ' small' : ''}` },
        h('thead', {}, h('tr', {}, h('td', {}), ...classes.map((name) => head(name, 'col')))),
        h('tbody', {}, ...rows),
      ),
    );
  }
}
