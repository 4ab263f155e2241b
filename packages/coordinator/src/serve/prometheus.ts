/** The coordinator's Prometheus metrics. Names and labels are documented in docs/monitoring.md. */
import type { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { secondsBuckets } from '@kasane/protocol/internal/ports/metrics-server';
import { stateNames } from '@kasane/protocol/job-state';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StepTimes } from '../run/run-options.ts';
import type { ConnectedWorker } from '../workers.ts';

/** What the gauges read when metrics are requested. */
export interface Watched {
  readonly version: string;
  running(): readonly Job[];
  states(): ReadonlyMap<JobState, number>;
  workers(): readonly ConnectedWorker[];
  redisReady(): boolean;
}

export class CoordinatorMetrics {
  readonly #registry = new Registry();
  readonly #steps: Counter;
  readonly #seconds: Histogram<'phase'>;
  readonly #events: Counter<'code'>;

  constructor(watched: Watched) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#steps = new Counter({ name: 'kasane_steps_total', help: 'Steps committed.', registers });
    this.#events = new Counter({
      name: 'kasane_events_total',
      help: 'Events recorded of jobs since the coordinator started, by code.',
      labelNames: ['code'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'kasane_step_seconds',
      help: 'Time of a step (phase total), and of its phases: queue, compute, reduce, apply, publish.',
      labelNames: ['phase'],
      buckets: secondsBuckets,
      registers,
    });
    const gauge = (name: string, help: string, labels: string[], collect: (gauge: Gauge) => void): void => {
      new Gauge({
        name: `kasane_${name}`,
        help,
        labelNames: labels,
        registers,
        collect() {
          this.reset();
          collect(this);
        },
      });
    };
    gauge('info', 'Version of this coordinator.', ['version'], (it) =>
      it.set({ version: watched.version }, 1),
    );
    gauge('redis_up', 'Whether Redis is reachable.', [], (it) => it.set(watched.redisReady() ? 1 : 0));
    gauge('workers', 'Workers connected.', [], (it) => it.set(watched.workers().length));
    gauge('slots', 'Compute slots of all workers.', [], (it) =>
      it.set(watched.workers().reduce((sum, { slots }) => sum + slots, 0)),
    );
    gauge(
      'worker_tasks_done',
      'Tasks that a worker has completed since it connected, without discarded results.',
      ['worker'],
      (it) => {
        for (const { id, tasksDone } of watched.workers()) it.set({ worker: id }, tasksDone);
      },
    );
    gauge('jobs', 'Jobs by state.', ['state'], (it) => {
      for (const state of Object.values(stateNames)) if (state !== 'unknown') it.set({ state }, 0);
      for (const [state, jobs] of watched.states()) it.set({ state: stateNames[state] }, jobs);
    });
    // For running jobs only: series of ended jobs would stay forever.
    const ofJob = (name: string, help: string, value: (job: Job) => number) =>
      // Not `job`: Prometheus uses that label for its targets, and would rename ours.
      gauge(`job_${name}`, help, ['job_id'], (it) => {
        for (const job of watched.running()) it.set({ job_id: job.id }, value(job));
      });
    ofJob('step', 'Completed steps of a running job.', ({ step }) => step);
    ofJob('steps', 'Total steps of a running job.', ({ steps }) => steps);
    ofJob('epoch', 'Completed epochs of a running job.', ({ epoch }) => epoch);
    ofJob('train_loss', 'Mean training loss of the current epoch.', ({ trainLoss }) => trainLoss ?? NaN);
    ofJob(
      'train_metric',
      'Mean training metric of the current epoch.',
      ({ trainMetric }) => trainMetric ?? NaN,
    );
    ofJob('test_loss', 'Loss on the test set after the last epoch.', (job) => tested(job)?.testLoss ?? NaN);
    ofJob(
      'test_metric',
      'Metric on the test set after the last epoch.',
      (job) => tested(job)?.testMetric ?? NaN,
    );
    ofJob('samples_per_second', 'Training samples per second.', ({ samplesPerSecond }) => samplesPerSecond);
    ofJob('waiting', 'Whether a running job makes no progress.', ({ stalledMs }) => (stalledMs > 0 ? 1 : 0));
  }

  /** Call when a step has been committed. */
  stepped(times: StepTimes): void {
    this.#steps.inc();
    const { stepMs, queueMs, computeMs, reduceMs, applyMs, publishMs } = times;
    const phases = {
      total: stepMs,
      queue: queueMs,
      compute: computeMs,
      reduce: reduceMs,
      apply: applyMs,
      publish: publishMs,
    };
    for (const [phase, ms] of Object.entries(phases)) this.#seconds.observe({ phase }, ms / 1000);
  }

  /** Call when an event was recorded. */
  happened({ code }: Pick<Event, 'code'>): void {
    this.#events.inc({ code });
  }

  page(): Promise<string> {
    return this.#registry.metrics();
  }
}

const tested = (job: Job) => job.history.at(-1);
