/** One job: how far it is, and a tab each for its curves, its layers, and trying it. */

import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { testMetricNames, testMetricText } from '@kasane/tensor/internal/test-metrics';
import { CurvesView } from './curves-view.ts';
import { figure, fill, h } from './dom.ts';
import { duration, grouped, isError, loss, metric, RUNNING } from './format.ts';
import { jobActions } from './job-actions.ts';
import { bestText, leftText, reasonLine, speedText, stateBadge } from './job-state.ts';
import { LayersView } from './layers-view.ts';
import { FIRST_TAB, jobAddress, sweepAddress } from './route.ts';
import { SubmitDialog } from './submit.ts';
import { TryView } from './try-view.ts';
import { type Known, ownWords, type Page, type View } from './view.ts';

interface Tab {
  readonly title: (page: Page) => string;
  readonly View: new (page: Page, job: string) => View;
}

/** By their names in the address. */
const tabs: Readonly<Record<string, Tab>> = {
  [FIRST_TAB]: { title: (page) => ownWords(page, { en: 'Curves', ja: '学習曲線' }), View: CurvesView },
  layers: { title: ({ t }) => t.layers, View: LayersView },
  try: { title: (page) => ownWords(page, { en: 'Try it', ja: '試す' }), View: TryView },
};

export class JobView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #id: string;
  readonly #head = h('section', { class: 'card', id: 'job-head' });
  readonly #dialog: SubmitDialog;
  readonly #tab: View;
  #shown: Job | undefined;
  #isMissing = false;

  /** @param asked name of a tab */
  constructor(page: Page, id: string, asked: string) {
    this.#page = page;
    this.#id = id;
    this.#dialog = new SubmitDialog(page);
    const shown = Object.hasOwn(tabs, asked) ? asked : FIRST_TAB;
    const links = Object.entries(tabs).map(([name, { title }]) =>
      h('a', { href: jobAddress(id, name), 'aria-current': name === shown && 'page' }, title(page)),
    );
    this.#tab = new tabs[shown]!.View(page, id);
    const navigation = h('nav', { class: 'tabs', 'aria-label': id }, ...links);
    this.element = h(
      'div',
      { class: 'stacked' },
      this.#head,
      navigation,
      this.#tab.element,
      this.#dialog.element,
    );
  }

  update(known: Known): void {
    if (known.isMissing && known.followed === this.#id) {
      this.#drawMissing();
      return;
    }
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

  #drawMissing(): void {
    if (this.#isMissing) return;
    this.#isMissing = true;
    const { t } = this.#page;
    fill(
      this.element,
      h(
        'section',
        { class: 'card', id: 'job-head', role: 'alert' },
        h('h2', {}, t.noSuchJob(this.#id)),
        h('p', {}, h('a', { href: '#/jobs' }, t.allJobs)),
      ),
    );
  }

  #drawHead(job: Job): void {
    const { t } = this.#page;
    const running = job.state === RUNNING;
    const last = job.history.at(-1);
    const elapsed = elapsedSeconds(job);
    const wrong = isError(job);
    fill(
      this.#head,
      h(
        'div',
        { class: 'row' },
        h('h2', {}, job.id),
        stateBadge(t, job),
        h('div', { class: 'actions' }, ...jobActions(this.#page, job, this.#dialog)),
      ),
      job.sweep &&
        h(
          'p',
          { class: 'faint' },
          `${t.trialOf(job.trial)} `,
          h('a', { href: sweepAddress(job.sweep), 'data-key': 'sweep' }, job.sweep),
        ),
      job.description && h('p', {}, job.description),
      job.tags.length > 0 && h('p', { class: 'tags' }, ...job.tags.map((tag) => h('span', {}, tag))),
      job.error ? h('p', { class: 'failed' }, job.error) : undefined,
      reasonLine(t, job),
      h('progress', { max: job.steps || job.step || 1, value: job.step, 'aria-label': t.step }),
      h(
        'dl',
        { class: 'figures' },
        figure(t.epoch, `${job.epoch} / ${job.epochs}`),
        figure(
          job.localSteps > 1 ? t.round(job.localSteps) : t.step,
          job.steps ? `${grouped(job.step)} / ${grouped(job.steps)}` : grouped(job.step),
        ),
        figure(t.trainLoss, loss(job.trainLoss)),
        figure(wrong ? t.trainError : t.trainAccuracy, metric(job, job.trainMetric)),
        figure(t.testLoss, last && loss(last.testLoss)),
        figure(wrong ? t.testError : t.testAccuracy, last && metric(job, last.testMetric)),
        figure(wrong ? t.leastError : t.bestAccuracy, bestText(t, job)),
        ...testMetricNames.flatMap((name) => {
          const value = last?.testMetrics?.[name];
          return value === undefined ? [] : [figure(t.testMetrics[name], testMetricText(name, value))];
        }),
        figure(t.speed, running && speedText(job)),
        running
          ? figure(t.left, leftText(t, job))
          : figure(t.took, elapsed > 0 && duration(elapsed, t.units)),
      ),
      job.models.length > 0 && h('p', {}, t.registeredAs(job.models)),
      job.digest ? h('p', { class: 'faint digest' }, `SHA-256 ${job.digest}`) : undefined,
    );
  }
}
