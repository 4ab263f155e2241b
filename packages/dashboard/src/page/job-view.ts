/** One job: how far it is, and a tab each for its curves, its layers, and trying it. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { CurvesView } from './curves-view.ts';
import { figure, fill, h } from './dom.ts';
import { duration, grouped, isError, metric, RUNNING, stateClass } from './format.ts';
import { jobActions } from './job-actions.ts';
import { LayersView } from './layers-view.ts';
import { jobAddress, TABS, type Tab } from './route.ts';
import { SubmitDialog } from './submit.ts';
import { TryView } from './try-view.ts';
import type { Known, Page, View } from './view.ts';

export class JobView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #id: string;
  readonly #head = h('section', { class: 'card', id: 'job-head' });
  readonly #dialog: SubmitDialog;
  readonly #tab: View;
  #shown: Job | undefined;

  constructor(page: Page, id: string, tab: Tab) {
    this.#page = page;
    this.#id = id;
    this.#dialog = new SubmitDialog(page);
    const { t } = page;
    const titles: Record<Tab, string> = { overview: t.overview, layers: t.layers, try: t.tryIt };
    const links = TABS.map((name) =>
      h('a', { href: jobAddress(id, name), 'aria-current': name === tab && 'page' }, titles[name]),
    );
    if (tab === 'layers') this.#tab = new LayersView(page, id);
    else this.#tab = tab === 'try' ? new TryView(page, id) : new CurvesView(page, id);
    const tabs = h('nav', { class: 'tabs', 'aria-label': id }, ...links);
    this.element = h('div', { class: 'stacked' }, this.#head, tabs, this.#tab.element, this.#dialog.element);
  }

  update(known: Known): void {
    const job = known.jobs?.find(({ id }) => id === this.#id);
    if (job && job !== this.#shown) {
      this.#shown = job;
      this.#drawHead(job);
    }
    if (known.followed === this.#id) this.#tab.update(known);
  }

  destroy(): void {
    this.#tab.destroy();
  }

  #drawHead(job: Job): void {
    const { t } = this.#page;
    const running = job.state === RUNNING;
    const last = job.history.at(-1);
    const elapsed = job.startedAt ? ((job.endedAt || Date.now()) - job.startedAt) / 1000 : 0;
    const left =
      running && job.step > 0 && job.steps > 0 ? (elapsed * (job.steps - job.step)) / job.step : undefined;
    const wrong = isError(job);
    fill(
      this.#head,
      h(
        'div',
        { class: 'row' },
        h('h2', {}, job.id),
        h('span', { class: `state ${stateClass(job.state)}` }, t.states[job.state] ?? ''),
        h('div', { class: 'actions' }, ...jobActions(this.#page, job, this.#dialog)),
      ),
      job.error ? h('p', { class: 'failed' }, job.error) : undefined,
      h('progress', { max: job.steps || job.step || 1, value: job.step, 'aria-label': t.step }),
      h(
        'dl',
        { class: 'figures' },
        figure(t.epoch, `${job.epoch} / ${job.epochs}`),
        figure(t.step, job.steps ? `${grouped(job.step)} / ${grouped(job.steps)}` : grouped(job.step)),
        figure(t.trainLoss, job.trainLoss.toFixed(4)),
        figure(wrong ? t.trainError : t.trainAccuracy, metric(job, job.trainMetric)),
        figure(t.testLoss, last?.testLoss?.toFixed(4)),
        figure(wrong ? t.testError : t.testAccuracy, last && metric(job, last.testMetric)),
        figure(t.speed, running ? grouped(job.samplesPerSecond) : undefined),
        left === undefined
          ? figure(t.took, elapsed ? duration(elapsed, t.units) : undefined)
          : figure(t.left, duration(left, t.units)),
      ),
      job.waitingFor ? h('p', { class: 'faint' }, `${t.waiting}: ${t.said(job.waitingFor)}`) : undefined,
      job.digest ? h('p', { class: 'faint digest' }, `SHA-256 ${job.digest}`) : undefined,
    );
  }
}
