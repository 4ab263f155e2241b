/** The worker's Prometheus metrics. Names and labels are documented in docs/monitoring.md. */
import { TaskFailure_Reason, type WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { secondsBuckets } from '@kasane/protocol/internal/ports/metrics-server';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What the gauges read when metrics are requested. */
export interface WorkerFacts {
  readonly connected: boolean;
  readonly slots: number;
  readonly busy: number;
  /** Number of tasks held, computing or waiting. */
  readonly held: number;
  readonly jobs: number;
}

const outcomes: Readonly<Record<TaskFailure_Reason, string>> = {
  [TaskFailure_Reason.REASON_UNSPECIFIED]: 'unspecified',
  [TaskFailure_Reason.REASON_BATCH_MISSING]: 'batch missing',
  [TaskFailure_Reason.REASON_BATCH_DAMAGED]: 'batch damaged',
  [TaskFailure_Reason.REASON_COMPUTE]: 'threw',
  [TaskFailure_Reason.REASON_HANDED_BACK]: 'handed back',
  [TaskFailure_Reason.UNRECOGNIZED]: 'unspecified',
};

export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #tasks: Counter<'outcome'>;
  readonly #samples: Counter;
  readonly #seconds: Histogram;

  constructor(facts: () => WorkerFacts) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#tasks = new Counter({
      name: 'kasane_worker_tasks_total',
      help: 'Tasks that this worker has answered, by outcome.',
      labelNames: ['outcome'],
      registers,
    });
    this.#samples = new Counter({
      name: 'kasane_worker_samples_total',
      help: 'Samples computed.',
      registers,
    });
    this.#seconds = new Histogram({
      name: 'kasane_worker_compute_seconds',
      help: 'Time a slot spent computing a task.',
      buckets: secondsBuckets,
      registers,
    });
    const gauge = (name: string, help: string, value: (facts: WorkerFacts) => number): void => {
      new Gauge({
        name: `kasane_worker_${name}`,
        help,
        registers,
        collect() {
          this.set(value(facts()));
        },
      });
    };
    gauge('connected', 'Whether the worker is connected to the coordinator.', ({ connected }) =>
      Number(connected),
    );
    gauge('slots', 'Compute threads.', ({ slots }) => slots);
    gauge('slots_busy', 'Slots that are computing.', ({ busy }) => busy);
    gauge('tasks_held', 'Tasks held, computing or waiting.', ({ held }) => held);
    gauge('jobs', 'Jobs open on this worker.', ({ jobs }) => jobs);
  }

  /** Counts a message that the worker sends to the coordinator. */
  said({ message }: WorkerMessage): void {
    if (message?.$case === 'result') {
      const { samples, computeMs } = message.value;
      this.#tasks.inc({ outcome: 'done' });
      this.#samples.inc(samples);
      this.#seconds.observe(computeMs / 1000);
    } else if (message?.$case === 'failure') {
      this.#tasks.inc({ outcome: outcomes[message.value.reason] });
    }
  }

  page(): Promise<string> {
    return this.#registry.metrics();
  }
}
