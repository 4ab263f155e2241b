/** The progress of a run, for `watch` and the dashboard. Reads the clock, but nothing here affects weights. */
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Position } from '../params/checkpoint.ts';

/** Window for samples per second, in milliseconds. */
const WINDOW_MS = 3_000;

export class Progress {
  readonly epochs: number;
  readonly steps: number;
  readonly #stepsPerEpoch: number;
  readonly #marks: { time: number; samples: number }[] = [];
  readonly #workers = new Set<string>();
  #samples = 0;
  #position: Position = { step: 0, lossSum: 0, metricSum: 0, counted: 0 };
  #epochStarted = performance.now();
  #history: EpochResult[] = [];

  constructor(epochs: number, steps: number, stepsPerEpoch: number) {
    this.epochs = epochs;
    this.steps = steps;
    this.#stepsPerEpoch = stepsPerEpoch;
  }

  /** Continues from a position. */
  resume(position: Position, history: EpochResult[]): void {
    this.#position = position;
    this.#history = history;
    this.#epochStarted = performance.now();
  }

  stepped(position: Position, samples: number, workers: Iterable<string>): void {
    this.#position = position;
    this.#samples += samples;
    for (const worker of workers) this.#workers.add(worker);
    const time = performance.now();
    const last = this.#marks.at(-1);
    if (last && time - last.time < WINDOW_MS / 30) return;
    this.#marks.push({ time, samples: this.#samples });
    while (this.#marks.length > 2 && time - this.#marks[1]!.time > WINDOW_MS) this.#marks.shift();
  }

  epochEnded(result: EpochResult): void {
    this.#history.push(result);
    this.#epochStarted = performance.now();
  }

  /** Seconds since the epoch began. */
  epochSeconds(): number {
    return (performance.now() - this.#epochStarted) / 1000;
  }

  get history(): readonly EpochResult[] {
    return this.#history;
  }

  get step(): number {
    return this.#position.step;
  }

  get epoch(): number {
    return Math.floor(this.#position.step / this.#stepsPerEpoch);
  }

  /** Mean training loss and metric of the current epoch, or of the last one between two epochs; undefined at the beginning. */
  get running(): { loss: number; metric: number } | undefined {
    const { lossSum, metricSum, counted, weight = counted } = this.#position;
    if (counted > 0) return { loss: lossSum / weight, metric: metricSum / counted };
    const last = this.#history.at(-1);
    return last && { loss: last.trainLoss, metric: last.trainMetric };
  }

  get samplesPerSecond(): number {
    const [first] = this.#marks;
    const last = this.#marks.at(-1);
    if (!first || !last || last.time === first.time) return 0;
    return (1000 * (last.samples - first.samples)) / (last.time - first.time);
  }

  /** Workers whose answers counted, in order of their first. */
  get workers(): readonly string[] {
    return [...this.#workers];
  }
}
