/** A sweep: its progress, its best trial, and its trials side by side. */
import type { Sweep, Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { BLUE, Chart, type Curve, ORANGE } from './chart.ts';
import { figure, fill, h } from './dom.ts';
import { brief, briefPercent, duration, grouped, setting } from './format.ts';
import { cancelSweep } from './remote.ts';
import { jobAddress } from './route.ts';
import {
  isFraction,
  metricKey,
  metricTitle,
  SWEEP_RUNNING,
  type SweepWords,
  sweepBadge,
  sweepValue,
  sweepWords,
  trialStates,
  trialsText,
  waitsText,
} from './sweep-state.ts';
import { Comparison } from './tables/comparison.ts';
import { isHigherBetter, resultKeys, Sources } from './tables/sources.ts';
import { type Column, columnOf, columnsAt, TableData } from './tables/table-data.ts';
import { attempt, type Known, type Page, type SweepWithTrials, type View } from './view.ts';

export class SweepView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #id: string;
  readonly #head = h('section', { class: 'card', id: 'sweep-head' });
  readonly #sources: Sources;
  #parts: { readonly comparison: Comparison; readonly best: Chart } | undefined;
  #shown: SweepWithTrials | undefined;

  constructor(page: Page, id: string) {
    this.#page = page;
    this.#id = id;
    this.#sources = new Sources(page, id, () => this.#draw());
    this.element = h('div', { class: 'stacked' }, this.#head);
    fill(this.#head, h('h2', {}, id), h('p', { class: 'faint' }, page.t.loading));
  }

  update(known: Known): void {
    if (known.isMissing && known.followed === this.#id) {
      this.#drawMissing();
      return;
    }
    // Columns are asked for only once changes are being reported, so that none is missed in between.
    if (known.cluster)
      this.#sources.update(
        known,
        known.sweep?.trials.flatMap(({ job }) => job || []),
      );
    if (known.sweep && known.sweep !== this.#shown) {
      this.#shown = known.sweep;
      this.#draw();
    }
  }

  destroy(): void {
    this.#sources.close();
    this.#parts?.comparison.destroy();
    this.#parts?.best.destroy();
  }

  #drawMissing(): void {
    const words = sweepWords(this.#page);
    fill(
      this.element,
      h(
        'section',
        { class: 'card', role: 'alert' },
        h('h2', {}, words.noSuchSweep(this.#id)),
        h('p', {}, h('a', { href: '#/sweeps' }, words.allSweeps)),
      ),
    );
  }

  #draw(): void {
    const shown = this.#shown;
    if (!shown) return;
    const { sweep, trials } = shown;
    this.#drawHead(sweep);
    this.#parts ??= this.#make(sweep);
    this.#parts.best.update(bestCurves(sweep, trials, sweepWords(this.#page)));
    const { jobs, columns } = this.#sources;
    const settings = settingsOf(sweep);
    const further = furtherKeys(sweep);
    this.#parts.comparison.update({
      data: dataOf(sweep, trials, jobs, columns),
      shown: [
        ...['trial', 'state', 'epochs', 'value', ...further],
        ...(further.length > 0 ? ['front'] : []),
        ...(trials.some(({ parent }) => parent > 0) ? ['parent'] : []),
        ...[...settings, 'seconds'],
      ],
      ...{ settings, targets: ['value', ...new Set([...further, ...resultKeys(columns)])] },
      ...(further[0] !== undefined && { scattered: further[0] }),
      isHigherBetter: (target) => {
        const own = ['value', ...further].indexOf(target);
        return own < 0 ? isHigherBetter(target, columns) : !sweep.objectives[own]!.minimize;
      },
      jobOf: (row) => trials[row]?.job ?? '',
      isLive: sweep.state === SWEEP_RUNNING,
    });
  }

  /** Made once the sweep is known, and with it its metric. */
  #make({ metric, minimize }: Sweep) {
    const title = metricTitle(this.#page, metric);
    const words = sweepWords(this.#page);
    const best = new Chart({
      ...{ title: words.byTrial(title), xLabel: words.trials, height: 220 },
      xFormat: (place) => (Number.isInteger(place) ? grouped(place) : ''),
      format: isFraction(metric) ? briefPercent : brief,
    });
    const comparison = new Comparison(
      this.#page,
      { key: 'value', sign: minimize ? 1 : -1 },
      { value: metricKey(metric) },
    );
    this.element.append(best.element, comparison.element);
    return { comparison, best };
  }

  #drawHead(sweep: Sweep): void {
    const { t } = this.#page;
    const words = sweepWords(this.#page);
    const { metric, best, state } = sweep;
    const cancel = () => {
      if (confirm(words.cancelSure(sweep.id))) attempt(this.#page, () => cancelSweep(sweep.id));
    };
    const ended = sweep.succeeded + sweep.stopped + sweep.failed;
    const seconds = ((sweep.endedAt || Date.now()) - sweep.submittedAt) / 1000;
    const values = Object.entries(JSON.parse(best?.assignment ?? '{}') as Record<string, unknown>);
    fill(
      this.#head,
      h(
        'div',
        { class: 'row' },
        h('h2', {}, sweep.id),
        sweepBadge(this.#page, sweep),
        h(
          'div',
          { class: 'actions' },
          state === SWEEP_RUNNING &&
            h(
              'button',
              {
                type: 'button',
                class: 'danger',
                'data-key': 'cancel',
                'aria-label': `${t.cancel}: ${sweep.id}`,
                click: cancel,
              },
              t.cancel,
            ),
        ),
      ),
      sweep.error ? h('p', { class: 'failed' }, sweep.error) : undefined,
      sweep.waitingFor && h('p', { class: 'faint waits' }, waitsText(t, sweep)),
      h('progress', { max: sweep.trialsLimit || 1, value: ended, 'aria-label': words.trials }),
      h(
        'dl',
        { class: 'figures' },
        ...(sweep.objectives.length > 1
          ? [figure(words.onFront, grouped(sweep.front))]
          : [figure(metricTitle(this.#page, metric), sweepValue(metric, best?.value))]),
        figure(words.trials, trialsText(sweep)),
        figure(t.states[2]!, grouped(sweep.running)),
        figure(t.states[6]!, grouped(sweep.paused)),
        figure(t.states[3]!, grouped(sweep.succeeded)),
        figure(words.stopped, grouped(sweep.stopped)),
        figure(t.states[4]!, grouped(sweep.failed)),
        figure(t.took, duration(Math.max(0, seconds), t.units)),
      ),
      best &&
        sweep.objectives.length < 2 &&
        h(
          'div',
          { class: 'best' },
          h(
            'h3',
            {},
            `${words.bestTrial}: `,
            best.job
              ? h('a', { href: jobAddress(best.job), 'data-key': 'best' }, `${best.number}`)
              : `${best.number}`,
          ),
          h('dl', { class: 'figures tight' }, ...values.map(([path, value]) => figure(path, setting(value)))),
        ),
    );
  }
}

/** The keys that vary, in the order of the sweep file. */
const settingsOf = ({ search }: Sweep): readonly string[] =>
  Object.keys((JSON.parse(search) as { parameters: object }).parameters);

/** The columns of the metrics after the first. */
const furtherKeys = ({ objectives }: Sweep): readonly string[] =>
  objectives.slice(1).map(({ metric }) => metricKey(metric));

/** Each trial's value, and the best up to that trial. */
function bestCurves({ minimize }: Sweep, trials: readonly Trial[], words: SweepWords): readonly Curve[] {
  const known = trials.filter(({ value }) => value !== undefined);
  const x = known.map(({ number }) => number);
  let best: number | undefined;
  const soFar = known.map(({ value }) => {
    if (best === undefined || (minimize ? value! < best : value! > best)) best = value!;
    return best;
  });
  return [
    { label: words.valuesOfTrials, color: BLUE, dots: true, x, y: known.map(({ value }) => value!) },
    { label: words.bestSoFar, color: ORANGE, stepped: true, x, y: soFar },
  ];
}

/** The columns that the search decided, followed by everything known of the trials' jobs. */
function dataOf(
  sweep: Sweep,
  trials: readonly Trial[],
  jobs: ReadonlyMap<string, number>,
  columns: readonly Column[],
): TableData {
  const settings = settingsOf(sweep);
  const keys = furtherKeys(sweep);
  const assignments = trials.map(({ assignment }) => JSON.parse(assignment) as Record<string, unknown>);
  const own = (key: string, pick: (trial: Trial, row: number) => unknown) => columnOf(key, trials.map(pick));
  const decided = [
    own('trial', ({ number }) => number),
    own('state', ({ state }) => trialStates[state] ?? ''),
    own('epochs', ({ epochs }) => epochs),
    ...(trials.some(({ parent }) => parent > 0) ? [own('parent', ({ parent }) => parent || null)] : []),
    own('value', ({ value }) => value ?? null),
    ...keys.map((key, index) => own(key, ({ further }) => further[index] ?? null)),
    ...(keys.length > 0 ? [own('front', ({ front }) => (front ? '✓' : null))] : []),
    ...settings.map((path) => own(path, (_, row) => assignments[row]![path] ?? null)),
    own('job', ({ job }) => job),
  ];
  const taken = new Set([...decided.map(({ key }) => key), 'sweep', 'name']);
  const further = columnsAt(
    columns.filter(({ key }) => !taken.has(key)),
    trials.map(({ job }) => jobs.get(job)),
  );
  return new TableData(
    trials.map(({ job, number }) => job || `#${number}`),
    [...decided, ...further],
  );
}
