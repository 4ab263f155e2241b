/** What `kasane top` knows: jobs and workers, asked for twice a second, and the metrics of one job as they come. */
import type { CoordinatorClient } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import type { DepartedWorker, WorkerStatus } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { Job, LayerInfo, Snapshot as Seen, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';

const POLL_MS = 500;
/** Points of a job's metrics that are kept; more than a terminal has columns. */
const POINTS = 2000;

export interface Snapshot {
  /** Newest first. */
  readonly jobs: readonly Job[];
  readonly workers: readonly WorkerStatus[];
  /** Workers that left last, newest first. */
  readonly departed: readonly DepartedWorker[];
  /** Of the coordinator; empty before its first answer. */
  readonly version: string;
  /** Why nothing new comes; empty when it does. */
  readonly problem: string;
  /** Of the chosen job. */
  readonly layers: readonly LayerInfo[];
  readonly points: readonly StepMetrics[];
  /** What came out of its layers when that was looked at last. */
  readonly activations?: Seen | undefined;
}

export class Feed {
  #snapshot: Snapshot = {
    jobs: [],
    workers: [],
    departed: [],
    version: '',
    problem: '',
    layers: [],
    points: [],
  };
  readonly #client: CoordinatorClient;
  readonly #changed: (snapshot: Snapshot) => void;
  #chosen = '';
  #unfollow = () => {};
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param changed hears each new snapshot */
  constructor(client: CoordinatorClient, changed: (snapshot: Snapshot) => void) {
    this.#client = client;
    this.#changed = changed;
    void this.#poll();
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Follows the metrics of this job and of no other. */
  choose(job: string): void {
    if (job === this.#chosen) return;
    this.#chosen = job;
    this.#unfollow();
    this.#update({ layers: [], points: [], activations: undefined });
    if (job === '') return;
    this.#unfollow = this.#client.watchMetrics(
      job,
      ({ layers, points, activations }) => {
        if (job !== this.#chosen) return;
        const known = layers.length > 0 ? [] : this.#snapshot.points;
        this.#update({
          ...(layers.length > 0 && { layers }),
          points: [...known, ...points].slice(-POINTS),
          activations: activations.at(-1) ?? this.#snapshot.activations,
        });
      },
      () => {},
    );
  }

  /** Asks at once: something was done. */
  refresh(): void {
    clearTimeout(this.#timer);
    void this.#poll();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unfollow();
  }

  async #poll(): Promise<void> {
    try {
      const [jobs, { workers, departed, version }] = await Promise.all([
        this.#client.list(),
        this.#client.status(),
      ]);
      this.#update({ jobs, workers, departed, version, problem: '' });
    } catch (error) {
      this.#update({ problem: messageOf(error) });
    }
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
  }

  #update(part: Partial<Snapshot>): void {
    if (this.#closed) return;
    this.#snapshot = { ...this.#snapshot, ...part };
    this.#changed(this.#snapshot);
  }
}
