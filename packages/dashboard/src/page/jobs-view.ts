/** The list of jobs: what each is doing, and what can be done to it. */

import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { commandLine } from './command.ts';
import { figure, fill, h, spark } from './dom.ts';
import { duration, isError, metric, RUNNING } from './format.ts';
import { jobActions } from './job-actions.ts';
import { reasonLine, speedText, stateBadge } from './job-state.ts';
import { jobAddress } from './route.ts';
import { SubmitDialog, TEMPLATE } from './submit.ts';
import type { Known, Page, View } from './view.ts';

/** Jobs that are shown at once; the filter finds the others. */
const SHOWN = 100;

export class JobsView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #list = h('div', { class: 'jobs' });
  readonly #name: HTMLInputElement;
  readonly #state: HTMLSelectElement;
  readonly #dialog: SubmitDialog;
  #jobs: readonly Job[] | undefined;
  readonly #cards = new Map<string, { readonly job: Job; readonly card: HTMLElement }>();

  constructor(page: Page) {
    this.#page = page;
    const { t } = page;
    this.#dialog = new SubmitDialog(page);
    const draw = () => this.#draw();
    this.#name = h('input', { type: 'search', placeholder: t.filter, 'aria-label': t.filter, input: draw });
    const states = t.states.map((state, index) => state && h('option', { value: index }, state));
    this.#state = h(
      'select',
      { 'aria-label': t.allStates, change: draw },
      h('option', { value: '' }, t.allStates),
      ...states,
    );
    const add = h(
      'button',
      { type: 'button', class: 'main', click: () => this.#dialog.open(TEMPLATE) },
      t.newJob,
    );
    this.element = h(
      'div',
      {},
      h('h2', { class: 'hidden' }, t.jobs),
      h('div', { class: 'tools' }, this.#name, this.#state, add),
      this.#list,
      this.#dialog.element,
    );
  }

  update({ jobs }: Known): void {
    if (jobs === this.#jobs) return;
    this.#jobs = jobs;
    this.#draw();
  }

  destroy(): void {}

  #draw(): void {
    const { t } = this.#page;
    const jobs = this.#jobs;
    if (!jobs) return;
    const name = this.#name.value.toLowerCase();
    const state = this.#state.value;
    const found = jobs.filter(
      (job) => job.id.toLowerCase().includes(name) && (state === '' || job.state === Number(state)),
    );
    const none = h('p', { class: 'faint' }, jobs.length === 0 ? t.noJobs : t.noMatch);
    fill(
      this.#list,
      ...found.slice(0, SHOWN).map((job) => this.#card(job)),
      found.length === 0 && none,
      jobs.length === 0 && commandLine(this.#page, 'kasane submit mnist-mlp'),
    );
  }

  /** The same element for a job that has not changed. */
  #card(job: Job): HTMLElement {
    const known = this.#cards.get(job.id);
    if (known?.job === job) return known.card;
    const { t, language } = this.#page;
    const last = job.history.at(-1);
    const tests = job.history.map(({ testMetric }) => testMetric);
    const elapsed = elapsedSeconds(job);
    const link = { href: jobAddress(job.id), class: 'name', 'data-key': job.id };
    const card = h(
      'article',
      { class: 'card job', 'data-job': job.id },
      h('div', { class: 'row' }, h('a', link, job.id), stateBadge(t, job)),
      h('progress', { max: job.epochs || 1, value: progressOf(job), 'aria-label': `${t.epoch} ${job.id}` }),
      h(
        'dl',
        { class: 'figures tight' },
        figure(t.epoch, `${job.epoch} / ${job.epochs}`),
        figure(isError(job) ? t.testError : t.testAccuracy, metric(job, last?.testMetric)),
        figure(isError(job) ? t.leastError : t.bestAccuracy, metric(job, job.best?.testMetric)),
        job.state === RUNNING && figure(t.speed, speedText(job)),
        figure(t.took, elapsed > 0 && duration(elapsed, t.units)),
        figure(t.submitted, whenText(job.submittedAt, language)),
      ),
      reasonLine(t, job),
      spark(tests),
      h('div', { class: 'actions' }, ...jobActions(this.#page, job, this.#dialog)),
    );
    this.#cards.set(job.id, { job, card });
    return card;
  }
}

/** Epochs, and the part of the one under way. */
const progressOf = (job: Job): number => (job.steps > 0 ? (job.epochs * job.step) / job.steps : job.epoch);

/** Of today the time, of earlier days the date. */
function whenText(moment: number, language: string): string {
  const date = new Date(moment);
  return date.toDateString() === new Date().toDateString()
    ? date.toLocaleTimeString(language, { timeStyle: 'short' })
    : date.toLocaleDateString(language, { dateStyle: 'short' });
}
