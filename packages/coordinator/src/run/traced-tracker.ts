/**
 * A tracker that also makes spans: a trace for each step, with a span for each attempt at a task, which is the parent of the worker's
 * spans. Steps have traces of their own, linked to the job's, because a job has many thousands of them.
 */
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { type Span, type Tracing, tracing } from '@kasane/protocol/internal/tracing';
import type { Holder } from '../steps/decide.ts';
import type { Failure } from '../steps/failures.ts';
import { Tracker } from '../steps/tracker.ts';

interface Attempt {
  readonly span: Span;
  /** From the hand-out until a worker claims it. */
  readonly queued: Span;
  worker: string;
}

interface Step {
  readonly span: Span;
  /** By shard, first attempt first. */
  readonly attempts: Map<number, Attempt[]>;
  /** When the last answer arrived, milliseconds since 1970. */
  answeredAt: number;
}

/** A tracker, with spans if tracing is on. @param parent `traceparent` of the job's span */
export function trackerOf(job: string, kind: TaskData['kind'], parent: string | undefined): Tracker {
  const traces = tracing();
  return traces ? new TracedTracker(traces, job, kind, parent) : new Tracker();
}

class TracedTracker extends Tracker {
  readonly #traces: Tracing;
  readonly #job: string;
  readonly #kind: TaskData['kind'];
  readonly #parent: string | undefined;
  readonly #spans = new Map<number, Step>();

  constructor(traces: Tracing, job: string, kind: TaskData['kind'], parent: string | undefined) {
    super();
    this.#traces = traces;
    this.#job = job;
    this.#kind = kind;
    this.#parent = parent;
  }

  override traceparent(step: number, shard: number, attempt: number): string | undefined {
    return this.#attempts(step, shard)[attempt - 1]?.span.traceparent;
  }

  override open(step: number, shards: number, now: number, first = 0): void {
    super.open(step, shards, now, first);
    const span = this.#traces.begin(this.#kind === 'train' ? 'step' : 'evaluation', {
      links: [this.#parent],
      attributes: { 'kasane.job': this.#job, 'kasane.step': step, 'kasane.shards': shards },
    });
    this.#spans.set(step, { span, attempts: new Map(), answeredAt: 0 });
    for (let shard = first; shard < first + shards; shard++) this.#attempt(step, shard, 1);
  }

  override issue(step: number, shard: number, now: number): number {
    const attempt = super.issue(step, shard, now);
    this.#attempt(step, shard, attempt);
    return attempt;
  }

  override claim(step: number, shard: number, holder: Holder): boolean {
    if (!super.claim(step, shard, holder)) return false;
    const { worker, attempt } = holder;
    const claimed = this.#attempts(step, shard)[attempt - 1];
    if (!claimed) return true;
    claimed.worker = worker;
    claimed.span.set({ 'kasane.worker': worker });
    claimed.queued.end();
    return true;
  }

  override finish(step: number, shard: number, attempt?: number): boolean {
    const isFirst = super.finish(step, shard, attempt);
    const traced = this.#spans.get(step);
    if (!isFirst || !traced) return isFirst;
    traced.answeredAt = Date.now();
    const answered = this.#attempts(step, shard)[(attempt ?? 0) - 1];
    answered?.span.event('answered');
    answered?.span.end();
    return isFirst;
  }

  override release(
    step: number,
    shard: number,
    worker: string,
    failure?: Pick<Failure, 'kind' | 'why'>,
  ): void {
    super.release(step, shard, worker, failure);
    for (const attempt of this.#attempts(step, shard))
      if (attempt.worker === worker)
        attempt.span.end(failure?.why ?? 'the worker handed it back or disconnected');
  }

  override refuse(step: number, shard: number, failure: Failure): void {
    super.refuse(step, shard, failure);
    this.#spans.get(step)?.span.event('answer refused', { 'kasane.shard': shard, why: failure.why });
  }

  override close(step: number): void {
    super.close(step);
    const traced = this.#spans.get(step);
    if (!traced) return;
    const { span, attempts, answeredAt } = traced;
    const about = { 'kasane.job': this.#job, 'kasane.step': step };
    // Between the last answer and the next version: gradients are added, the optimizer is applied, parameters are sent.
    const update = { parent: span.traceparent, attributes: about, start: answeredAt };
    if (this.#kind === 'train' && answeredAt > 0) this.#traces.begin('update', update).end();
    this.#end(attempts);
    span.end();
    this.#spans.delete(step);
  }

  override clear(): void {
    super.clear();
    for (const { span, attempts } of this.#spans.values()) {
      this.#end(attempts);
      span.end('the run ended first');
    }
    this.#spans.clear();
  }

  /** Ends the spans of attempts that are not needed any more. */
  #end(attempts: Step['attempts']): void {
    for (const { queued, span } of [...attempts.values()].flat()) {
      queued.end();
      span.end();
    }
  }

  #attempts(step: number, shard: number): readonly Attempt[] {
    return this.#spans.get(step)?.attempts.get(shard) ?? [];
  }

  #attempt(step: number, shard: number, attempt: number): void {
    const traced = this.#spans.get(step);
    if (!traced) return;
    const attributes = {
      'kasane.job': this.#job,
      'kasane.step': step,
      'kasane.shard': shard,
      'kasane.attempt': attempt,
    };
    const span = this.#traces.begin('task', { parent: traced.span.traceparent, attributes });
    const queued = this.#traces.begin('queued', { parent: span.traceparent, attributes });
    traced.attempts.set(shard, [...this.#attempts(step, shard), { span, queued, worker: '' }]);
  }
}
