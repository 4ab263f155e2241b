/** One job: how far it is, its curves, its layers, who computed what. */
import type { Job, LayerInfo, StepMetrics, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { Charts } from './charts.ts';
import { diagnose } from './diagnose.ts';
import { fill, h, spark } from './dom.ts';
import type { Words } from './text.ts';

/** Points that the page keeps. */
const POINTS = 2000;
export const RUNNING = 2;

export const stateClass = (state: number): string =>
  ['', 'queued', 'running', 'succeeded', 'failed', 'failed'][state] ?? '';
export const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;
const isError = ({ metric }: Pick<Job, 'metric'>) => metric === 'mean absolute error';
/** The value of a job's metric. */
export const metric = (job: Pick<Job, 'metric'>, value: number): string =>
  isError(job) ? value.toPrecision(4) : percent(value);
const grouped = (count: number) => count.toLocaleString('en');
const small = (value: number) => (Number.isFinite(value) ? value.toPrecision(3) : String(value));

function duration(seconds: number): string {
  const [m, s] = [Math.floor(seconds / 60), Math.round(seconds % 60)];
  if (m >= 60) return `${Math.floor(m / 60)} h ${m % 60} min`;
  return m > 0 ? `${m} min ${s} s` : `${s} s`;
}

export class JobView {
  readonly element = h('div', { id: 'job' });
  readonly id: string;
  readonly #t: Words;
  readonly #charts: Charts;
  readonly #head = h('section', { class: 'card' });
  readonly #warnings = h('div', { role: 'status' });
  readonly #layers = h('section', { class: 'card' });
  readonly #shards = h('section', { class: 'card' });
  readonly #file = h('pre');
  #job: Job | undefined;
  #infos: readonly LayerInfo[] = [];
  #points: StepMetrics[] = [];
  #shown = -1;
  #frame = 0;

  constructor(id: string, t: Words) {
    this.id = id;
    this.#t = t;
    this.#charts = new Charts(t);
    const file = h('details', { class: 'card' }, h('summary', {}, t.file), this.#file);
    this.element.append(this.#head, this.#warnings, this.#charts.element, this.#layers, this.#shards, file);
  }

  show(job: Job): void {
    this.#job = job;
    this.#schedule();
  }

  /** Takes a message of the job's metrics; `whole` replaces what was there. */
  take({ layers, spec, points }: WatchMetricsResponse, whole: boolean): void {
    if (whole) {
      this.#infos = layers;
      this.#points = [...points];
      this.#file.textContent = JSON.stringify(JSON.parse(spec), null, 2);
    } else {
      this.#points.push(...points);
      if (this.#points.length > POINTS) this.#points.splice(0, this.#points.length - POINTS);
    }
    this.#shown = -1;
    this.#schedule();
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#charts.destroy();
  }

  /** Draws at most once a frame, however much comes. */
  #schedule(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw(): void {
    const job = this.#job;
    if (!job) return;
    this.#drawHead(job);
    const key = this.#points.length + 1e6 * job.history.length;
    if (this.#shown === key) return;
    this.#shown = key;
    const stepsPerEpoch = job.steps > 0 ? job.steps / job.epochs : job.epoch > 0 ? job.step / job.epoch : 0;
    this.#charts.update(this.#points, job.history, stepsPerEpoch);
    this.#drawLayers();
    this.#drawShards();
  }

  #drawHead(job: Job): void {
    const t = this.#t;
    const running = job.state === RUNNING;
    const last = job.history.at(-1);
    const figure = (label: string, value: string | undefined) =>
      value !== undefined && h('div', {}, h('dt', {}, label), h('dd', {}, value));
    const ended = job.endedAt || Date.now();
    const elapsed = job.startedAt ? (ended - job.startedAt) / 1000 : 0;
    const left =
      running && job.step > 0 && job.steps > 0 ? (elapsed * (job.steps - job.step)) / job.step : undefined;
    fill(
      this.#head,
      h(
        'div',
        { class: 'row' },
        h('h2', {}, job.id),
        h('span', { class: `state ${stateClass(job.state)}` }, t.states[job.state] ?? ''),
        job.state <= RUNNING &&
          h('button', { type: 'button', 'data-key': 'cancel', click: () => this.#cancel() }, t.cancel),
      ),
      job.error ? h('p', { class: 'failed' }, job.error) : undefined,
      h('progress', { max: job.steps || job.step || 1, value: job.step, 'aria-label': t.step }),
      h(
        'dl',
        { class: 'figures' },
        figure(t.epoch, `${job.epoch} / ${job.epochs}`),
        figure(t.step, job.steps ? `${grouped(job.step)} / ${grouped(job.steps)}` : grouped(job.step)),
        figure(t.trainLoss, job.trainLoss.toFixed(4)),
        figure(isError(job) ? t.trainError : t.trainAccuracy, metric(job, job.trainMetric)),
        figure(t.testLoss, last?.testLoss.toFixed(4)),
        figure(isError(job) ? t.testError : t.testAccuracy, last && metric(job, last.testMetric)),
        figure(t.speed, running ? grouped(Math.round(job.samplesPerSecond)) : undefined),
        left === undefined
          ? figure(t.took, elapsed ? duration(elapsed) : undefined)
          : figure(t.left, duration(left)),
      ),
      job.waitingFor ? h('p', { class: 'faint' }, `${t.waiting}: ${job.waitingFor}`) : undefined,
      job.digest ? h('p', { class: 'faint' }, `SHA-256 ${job.digest}`) : undefined,
    );
  }

  #drawLayers(): void {
    const t = this.#t;
    const last = this.#points.at(-1);
    const troubles = diagnose(this.#points);
    const now = new Map((last?.layers ?? []).map((layer) => [layer.layer, layer]));
    const courses = new Map(
      (last?.layers ?? []).map(({ layer }, i) => [
        layer,
        this.#points.slice(-200).map(({ layers }) => Math.log10(layers[i]?.gradientNorm || 1e-12)),
      ]),
    );
    fill(
      this.#warnings,
      ...[...troubles].map(([layer, trouble]) =>
        h('p', { class: 'warning' }, `⚠ ${t.warnings[trouble](layer)}`),
      ),
    );
    const titles = [
      t.layer,
      t.type,
      t.output,
      t.parameters,
      t.flops,
      t.gradient,
      t.weights,
      t.update,
      t.course,
    ];
    const rows = this.#infos.map((info) => {
      const seen = now.get(info.name);
      const number = (text: string) => h('td', { class: 'number' }, text);
      return h(
        'tr',
        { class: troubles.has(info.name) ? 'warning' : undefined },
        h('td', {}, info.name),
        h('td', {}, info.type),
        h('td', {}, info.outputShape.join(' × ')),
        number(info.parameters ? grouped(info.parameters) : ''),
        number(grouped(info.flops)),
        number(seen ? small(seen.gradientNorm) : ''),
        number(seen ? small(seen.weightNorm) : ''),
        number(seen ? small(seen.updateRatio) : ''),
        h('td', {}, seen ? spark(courses.get(info.name) ?? []) : ''),
      );
    });
    const head = titles.map((title, i) =>
      h('th', { scope: 'col', class: i >= 3 && i <= 7 ? 'number' : undefined }, title),
    );
    const table = h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
    fill(
      this.#layers,
      h('h3', {}, t.layers),
      h('div', { class: 'scroll', tabindex: 0, 'data-key': 'layers' }, table),
    );
  }

  #drawShards(): void {
    const last = this.#points.at(-1);
    this.#shards.hidden = !last;
    if (!last) return;
    const names = [...new Set(last.workers)].sort();
    const chips = last.workers.map((worker, shard) => {
      const hue = (names.indexOf(worker) * 137) % 360;
      return h('span', { style: `border-color: hsl(${hue} 60% 50%)`, title: worker }, `${shard}: ${worker}`);
    });
    fill(
      this.#shards,
      h('h3', {}, `${this.#t.shards} ${grouped(last.step)}`),
      h('div', { class: 'shards' }, ...chips),
    );
  }

  #cancel(): void {
    if (!confirm(this.#t.cancelSure(this.id))) return;
    void fetch(`/jobs/${encodeURIComponent(this.id)}/cancel`, {
      method: 'POST',
      headers: { 'x-kasane': 'dashboard' },
    });
  }
}
