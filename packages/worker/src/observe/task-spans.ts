/** Spans for a worker's tasks, as children of the coordinator's spans for the attempts. */
import { type Attributes, type Span, type Tracing, tracing } from '@kasane/protocol/internal/tracing';

/** Span names of parts of a task, by their names in a profile. */
const names: Readonly<Record<string, string>> = {
  samples: 'fetch samples',
  parameters: 'wait for parameters',
  'a free slot': 'wait for a slot',
  task: 'compute',
  gradients: 'send gradients',
};

export class TaskSpans {
  readonly #traces: Tracing;
  readonly #worker: string;
  /** By the identity of the tasks held. */
  readonly #held = new Map<TaskOfSpan, { readonly span: Span; readonly attributes: Attributes }>();

  private constructor(traces: Tracing, worker: string) {
    this.#traces = traces;
    this.#worker = worker;
  }

  /** Undefined if tracing is off. */
  static of(worker: string): TaskSpans | undefined {
    const traces = tracing();
    return traces && new TaskSpans(traces, worker);
  }

  /** A job is being opened until `ready` settles. @param parent the job's span, from the coordinator */
  opening(job: string, parent: string, ready: Promise<unknown>): void {
    if (parent === '') return;
    const attributes = { 'kasane.job': job, 'kasane.worker': this.#worker };
    const span = this.#traces.begin('open job', { parent, attributes });
    ready.then(
      () => span.end(),
      (error: unknown) => span.end(String(error)),
    );
  }

  /** A task has come from the queue. */
  begin(id: TaskOfSpan, parent: string | undefined): void {
    if (parent === undefined) return;
    const { job, step, shard, attempt } = id;
    const attributes = {
      'kasane.job': job,
      'kasane.step': step,
      'kasane.shard': shard,
      'kasane.attempt': attempt,
      'kasane.worker': this.#worker,
    };
    // If the queue entry belongs to the same trace, its span is the parent.
    const { active } = this.#traces;
    const entry = active !== undefined && traceOf(active) === traceOf(parent) ? active : parent;
    const span = this.#traces.begin('work', { parent: entry, kind: 'consumer', attributes });
    this.#held.set(id, { span, attributes });
  }

  /** Times part of a task. */
  async part<T>(name: string, id: TaskOfSpan, body: () => Promise<T>): Promise<T> {
    const held = this.#held.get(id);
    if (!held) return body();
    const { span, attributes } = held;
    const part = this.#traces.begin(names[name] ?? name, { parent: span.traceparent, attributes });
    try {
      return await body();
    } finally {
      part.end();
    }
  }

  /** A task has ended here. @param failure why it failed, if it did */
  end(id: TaskOfSpan, failure?: string): void {
    this.#held.get(id)?.span.end(failure);
    this.#held.delete(id);
  }
}

interface TaskOfSpan {
  readonly job: string;
  readonly step: number;
  readonly shard: number;
  readonly attempt: number;
}

const traceOf = (traceparent: string) => traceparent.split('-')[1];
