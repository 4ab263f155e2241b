/** Which classes a job's newest test takes for which: a table whose cells are the darker, the more of a class they hold. */
import type { GetConfusionResponse, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { fill, h } from './dom.ts';
import { grouped, percent } from './format.ts';
import { confusionOf } from './remote.ts';
import { attempt, type Page } from './view.ts';

/** With more classes, cells have no numbers: they would be too small to read. */
const NUMBERED = 20;
/** So often it is asked for what may not be there yet. */
const MOST_ASKS = 10;

export class ConfusionCard {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #title = h('h3', {});
  readonly #table = h('div', { class: 'scroll', 'data-key': 'confusion', tabindex: 0 });
  /** Of which epoch it is, */
  #shown = 0;
  /** what the job has come to, which tells whether there is another one, and how often it was asked for since then. */
  #reached = '';
  #asks = 0;
  #isAsking = false;
  /** The job has changed since it was asked for. */
  #isOld = false;

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
    const newest = job.history.at(-1);
    if (newest?.testMetrics?.precision === undefined || newest.epoch === this.#shown) return;
    const reached = `${newest.epoch} ${job.state}`;
    if (reached !== this.#reached) [this.#reached, this.#asks] = [reached, 0];
    this.#isOld = true;
    if (!this.#isAsking) attempt(this.#page, () => this.#ask(job.id));
  }

  /** The coordinator keeps a matrix with the checkpoint, a little after it tells of the epoch: until then it is the one before. */
  async #ask(job: string): Promise<void> {
    this.#isAsking = true;
    try {
      while (this.#isOld && this.#asks < MOST_ASKS) {
        this.#isOld = false;
        this.#asks++;
        const answer = await confusionOf(job);
        if (answer.epoch !== this.#shown) this.#draw(answer);
        this.#shown = answer.epoch;
      }
    } finally {
      this.#isAsking = false;
    }
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
