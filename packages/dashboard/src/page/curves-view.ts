/** A job's curves, with those of others to compare; its file, what happened, its checkpoints. */
import type { Checkpoint, EpochResult, Event, Job, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { BLUE, Chart, type Curve, ORANGE, smoothed } from './chart.ts';
import { ConfusionCard } from './confusion-card.ts';
import { fill, h } from './dom.ts';
import { briefPercent, bytes, grouped, hasEnded, hueOf, isError } from './format.ts';
import { checkpoints, download, modelPath, pointsOf } from './remote.ts';
import { attempt, type Known, type Page, type View } from './view.ts';

type Axis = 'step' | 'epoch' | 'time';
/** Jobs to compare with that are offered, and how often checkpoints are asked for. */
const OFFERED = 30;
const CHECKPOINTS_MS = 5000;
/** Events that are shown: the newest. */
const EVENTS = 200;

/** A job with its points, as a source of curves. */
interface Source {
  readonly job: Job;
  readonly points: readonly StepMetrics[];
  readonly name: string;
  readonly colors: readonly [string, string];
}

export class CurvesView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #id: string;
  readonly #charts: Record<'loss' | 'metric' | 'rate' | 'gradient' | 'speed' | 'time', Chart>;
  readonly #file = h('pre', { tabindex: 0 });
  readonly #compare = h('div', { class: 'choices' });
  readonly #events = h('ol', { class: 'events', tabindex: 0 });
  readonly #checkpoints = h('div', {});
  readonly #confusion: ConfusionCard;
  readonly #others = new Map<string, readonly StepMetrics[]>();
  #axis: Axis = 'step';
  #smoothing = 0;
  #drawn = '';
  #named = false;
  #eventsDrawn: readonly Event[] = [];
  #offered = '';
  #known: Known | undefined;
  /** When checkpoints were asked for, and what the job had reached. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #askedFor = '';

  constructor(page: Page, id: string) {
    this.#page = page;
    this.#id = id;
    this.#confusion = new ConfusionCard(page);
    const { t } = page;
    const chart = (title: string, logarithmic = false) =>
      new Chart({ title, xLabel: t.step, sync: 'kasane', logarithmic, onZoom: (range) => this.#zoom(range) });
    this.#charts = {
      loss: chart(t.loss, true),
      metric: chart(t.metric),
      rate: chart(t.learningRate),
      gradient: chart(t.gradientNorm, true),
      speed: chart(t.speed),
      // The first step takes a hundred times as long as the others.
      time: chart(t.stepTime, true),
    };
    const card = (title: string, content: HTMLElement) =>
      h('section', { class: 'card' }, h('h3', {}, title), content);
    this.element = h(
      'div',
      { class: 'stacked' },
      this.#tools(),
      h('div', { class: 'charts' }, ...Object.values(this.#charts).map(({ element }) => element)),
      this.#confusion.element,
      h('div', { class: 'charts' }, card(t.checkpoints, this.#checkpoints), card(t.events, this.#events)),
      h('details', { class: 'card' }, h('summary', {}, t.file), this.#file),
    );
  }

  update(known: Known): void {
    this.#known = known;
    const job = known.jobs?.find(({ id }) => id === this.#id);
    if (!job) return;
    this.#nameMetric(job);
    this.#confusion.update(job);
    this.#offer(known.jobs ?? []);
    if (known.events !== this.#eventsDrawn) this.#drawEvents(known.events);
    this.#eventsDrawn = known.events;
    const reached = `${job.epoch} ${job.state}`;
    const isLate = !hasEnded(job.state) && performance.now() - this.#askedAt > CHECKPOINTS_MS;
    if (reached !== this.#askedFor || isLate) this.#askCheckpoints(job);
    this.#askedFor = reached;
    const key = `${known.metrics.version} ${job.history.length} ${job.state}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#draw();
    if (known.metrics.spec && !this.#file.textContent)
      this.#file.textContent = JSON.stringify(JSON.parse(known.metrics.spec), null, 2);
  }

  destroy(): void {
    for (const chart of Object.values(this.#charts)) chart.destroy();
  }

  /** What the metric is, is known when the job is. */
  #nameMetric(job: Job): void {
    if (this.#named) return;
    this.#named = true;
    const { t } = this.#page;
    this.#charts.metric.change(
      isError(job) ? { title: t.error } : { title: t.accuracy, format: briefPercent },
    );
  }

  #tools(): HTMLElement {
    const { t } = this.#page;
    const axes = (['step', 'epoch', 'time'] as const).map((axis) =>
      h('option', { value: axis }, t.axes[axis]),
    );
    const axis = h(
      'select',
      { 'aria-label': t.axis, change: () => this.#set({ axis: axis.value as Axis }) },
      ...axes,
    );
    const logarithmic = h('input', {
      ...{ type: 'checkbox', checked: true },
      change: () => this.#scale(logarithmic.checked),
    });
    const smoothing = h('input', {
      ...{ type: 'range', min: 0, max: 0.98, step: 0.02, value: 0 },
      input: () => this.#set({ smoothing: Number(smoothing.value) }),
    });
    const zoomIn = () => this.#zoomIn();
    return h(
      'div',
      { class: 'tools' },
      h('label', {}, t.axis, axis),
      h('label', {}, t.smoothing, smoothing),
      h('label', {}, logarithmic, t.logarithmic),
      h('button', { type: 'button', click: zoomIn }, t.zoomIn),
      h('button', { type: 'button', click: () => this.#zoom(undefined) }, t.zoomOut),
      h('details', { class: 'compare' }, h('summary', {}, t.compare), this.#compare),
    );
  }

  /** Of the charts whose values range over powers of ten. */
  #scale(logarithmic: boolean): void {
    const { loss, gradient, time } = this.#charts;
    for (const chart of [loss, gradient, time]) chart.change({ logarithmic });
  }

  #set({ axis = this.#axis, smoothing = this.#smoothing }: { axis?: Axis; smoothing?: number }): void {
    if (axis !== this.#axis) this.#zoom(undefined);
    this.#axis = axis;
    this.#smoothing = smoothing;
    this.#draw();
  }

  #zoom(range: readonly [number, number] | undefined): void {
    for (const chart of Object.values(this.#charts)) chart.zoom(range);
  }

  /** The last half of the run: what is happening now. By mouse any part can be chosen. */
  #zoomIn(): void {
    const metrics = this.#known?.metrics;
    const [first, last] = [metrics?.points[0], metrics?.last];
    const source = this.#sources()[0];
    if (!first || !last || !source) return;
    const place = placeOn(this.#axis, source);
    const [start, end] = [place(first), place(last)];
    this.#zoom([(start + end) / 2, end]);
  }

  #sources(): Source[] {
    const { jobs = [], metrics } = this.#known ?? {};
    const job = jobs.find(({ id }) => id === this.#id);
    if (!job || !metrics) return [];
    const others = [...this.#others].flatMap(([id, points], index) => {
      const other = jobs.find((one) => one.id === id);
      const color = (light: number) => `hsl(${hueOf(index + 1)} 65% ${light}%)`;
      return other ? [{ job: other, points, name: id, colors: [color(45), color(60)] as const }] : [];
    });
    return [{ job, points: metrics.points, name: '', colors: [BLUE, ORANGE] }, ...others];
  }

  #draw(): void {
    const { t } = this.#page;
    const sources = this.#sources();
    const curves = (pick: (point: StepMetrics) => number, label: string = t.train, second = false) =>
      sources.flatMap((source) => this.#curve(source, pick, label, second ? 1 : 0));
    const tests = (pick: (epoch: EpochResult) => number): Curve[] =>
      sources.map((source) => ({
        label: `${t.test} ${source.name}`.trim(),
        color: source.colors[1],
        sparse: true,
        dash: source.name !== '',
        ...testPlaces(this.#axis, source, pick),
      }));
    const { loss, metric, rate, gradient, speed, time } = this.#charts;
    loss.update([...curves((p) => p.loss), ...tests((e) => e.testLoss)]);
    metric.update([...curves((p) => p.metric), ...tests((e) => e.testMetric)]);
    rate.update(curves((p) => p.learningRate, t.learningRate));
    gradient.update(curves((p) => p.gradientNorm, t.gradientNorm));
    speed.update(curves((p) => p.samplesPerSecond, t.speed));
    time.update([...curves((p) => p.stepMs, t.whole), ...curves((p) => p.computeMs, t.slowest, true)]);
  }

  #curve(source: Source, pick: (point: StepMetrics) => number, label: string, color: 0 | 1): Curve[] {
    const { points, name, colors } = source;
    const x = points.map(placeOn(this.#axis, source));
    const raw = points.map((point) => (Number.isFinite(pick(point)) ? pick(point) : null));
    const base = { x, color: colors[color], dash: name !== '' && color === 1 };
    const smooth: Curve = { ...base, label: `${label} ${name}`.trim(), y: smoothed(raw, this.#smoothing) };
    return this.#smoothing > 0 ? [{ ...base, label: '·', y: raw, faint: true }, smooth] : [smooth];
  }

  /** Check boxes for other jobs. */
  #offer(jobs: readonly Job[]): void {
    const others = jobs.filter(({ id, step }) => id !== this.#id && step > 0).slice(0, OFFERED);
    const key = others.map(({ id }) => id).join();
    if (key === this.#offered) return;
    this.#offered = key;
    const box = ({ id }: Job) => {
      const input = h('input', {
        ...{ type: 'checkbox', checked: this.#others.has(id), 'data-key': id },
        change: () => attempt(this.#page, () => this.#choose(id, input.checked)),
      });
      return h('label', {}, input, id);
    };
    fill(this.#compare, ...others.map(box), others.length === 0 && '-');
  }

  async #choose(id: string, chosen: boolean): Promise<void> {
    if (chosen) this.#others.set(id, await pointsOf(id));
    else this.#others.delete(id);
    this.#draw();
  }

  #drawEvents(events: readonly Event[]): void {
    const { t, language } = this.#page;
    const today = new Date().toDateString();
    const timeText = (ms: number) => {
      if (ms === 0) return '-';
      const time = new Date(ms);
      return time.toDateString() === today
        ? time.toLocaleTimeString(language)
        : time.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'medium' });
    };
    const row = (event: Event) =>
      h('li', {}, h('time', {}, timeText(event.time)), h('span', {}, t.told(event)));
    fill(this.#events, ...events.slice(-EVENTS).reverse().map(row));
  }

  #askCheckpoints(job: Job): void {
    this.#askedAt = performance.now();
    attempt(this.#page, async () => this.#drawCheckpoints(job, await checkpoints(job.id)));
  }

  #drawCheckpoints(job: Job, list: readonly Checkpoint[]): void {
    const { t, language } = this.#page;
    const link = (label: string, checkpoint?: number) =>
      h(
        'a',
        {
          ...{ href: modelPath(job.id, checkpoint), download: '', 'data-key': `${checkpoint}` },
          click: (event) => {
            event.preventDefault();
            this.#download(job, checkpoint);
          },
        },
        label,
      );
    const rows = list.map(({ step, bytes: size, writtenAt }) =>
      h(
        'tr',
        {},
        h('td', { class: 'number' }, grouped(step)),
        h(
          'td',
          {},
          new Date(writtenAt).toLocaleString(language, { dateStyle: 'short', timeStyle: 'medium' }),
        ),
        h('td', { class: 'number' }, bytes(size)),
        h('td', {}, link(t.download, step)),
      ),
    );
    const heads = [t.step, t.written, t.size, ''].map((text, index) =>
      h('th', { scope: 'col', class: index % 2 === 0 ? 'number' : undefined }, text),
    );
    fill(
      this.#checkpoints,
      job.model ? h('p', {}, link(t.finalWeights)) : undefined,
      list.length > 0
        ? h(
            'div',
            { class: 'scroll' },
            h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows)),
          )
        : h('p', { class: 'faint' }, hasEnded(job.state) ? t.keptNoCheckpoints : t.noCheckpoints),
    );
  }

  /** One that has been deleted meanwhile is named, and no longer offered. */
  #download(job: Job, checkpoint: number | undefined): void {
    attempt(this.#page, async () => {
      try {
        await download(job.id, checkpoint);
      } catch (error) {
        this.#askCheckpoints(job);
        throw error;
      }
    });
  }
}

const stepsPerEpoch = (job: Job): number =>
  job.steps > 0 ? job.steps / job.epochs : job.epoch > 0 ? job.step / job.epoch : 0;

function placeOn(axis: Axis, source: Pick<Source, 'job' | 'points'>): (point: StepMetrics) => number {
  const each = stepsPerEpoch(source.job) || 1;
  const start = startOf(source);
  if (axis === 'step') return ({ step }) => step;
  return axis === 'epoch' ? ({ step }) => step / each : ({ time }) => secondsFrom(start, time);
}

/** Where results of tests stand: at the end of their epochs. */
function testPlaces(
  axis: Axis,
  source: Pick<Source, 'job' | 'points'>,
  pick: (epoch: EpochResult) => number,
): Pick<Curve, 'x' | 'y'> {
  const { job, points } = source;
  const each = stepsPerEpoch(job);
  const known = each > 0 && points.length > 0 ? job.history : [];
  const places = known.flatMap((result) => {
    const x =
      axis === 'epoch'
        ? result.epoch
        : axis === 'step'
          ? Math.round(result.epoch * each)
          : secondsAt(source, result, each);
    return x === undefined ? [] : [{ x, y: Number.isFinite(pick(result)) ? pick(result) : null }];
  });
  return { x: places.map(({ x }) => x), y: places.map(({ y }) => y) };
}

/** When an epoch ended, in seconds after the start. Of an earlier version only the steps have times: the first one after it tells. */
function secondsAt(
  source: Pick<Source, 'job' | 'points'>,
  { epoch, endedAt }: EpochResult,
  stepsOfEpoch: number,
): number | undefined {
  if (endedAt > 0) return secondsFrom(startOf(source), endedAt);
  const after = source.points.find(({ step }) => step >= Math.round(epoch * stepsOfEpoch));
  return after && placeOn('time', source)(after);
}

/** No less than 0, also of a clock that was set back. */
const secondsFrom = (start: number, time: number): number => Math.max(0, (time - start) / 1000);

const startOf = ({ job, points }: Pick<Source, 'job' | 'points'>): number =>
  job.startedAt || points[0]?.time || 0;
