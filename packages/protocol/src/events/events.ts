/**
 * What happens to a job, as data: an event is a code with arguments, and for some events the reason. The coordinator records them when they
 * happen; sentences are made where people read, the English ones here, the Japanese ones in the dashboard's events-ja.ts. One line here
 * and one there is all that a new event takes. The dashboard's page loads this file, too.
 */
import { counted } from '@kasane/tensor/internal/counted';
import type { Event as EventMessage } from '../gen/kasane/v1/jobs.ts';
import { type Form, fits, readArgs, type ValueOf } from './forms.ts';
import type { Reason } from './reasons.ts';

/** When a record is full, `routine` events go, the oldest of the most frequent first. Of several `end`s the last one stays, and each `start` does. */
export type EventKind = 'start' | 'end' | 'routine';

/** `why` is the sentence of the reason. */
const eventOf =
  <Kind extends EventKind, Because extends boolean>(kind: Kind, because: Because) =>
  <const Args extends { readonly [name: string]: Form }>(
    args: Args,
    english: (args: ValueOf<Args>, why: string) => string,
  ) => ({ kind, because, args, english });
const [start, end, routine] = [eventOf('start', false), eventOf('end', false), eventOf('routine', false)];
const because = eventOf('routine', true);

const metricKinds: ReadonlySet<'fraction' | 'error'> = new Set(['fraction', 'error']);
const metricNames = { fraction: 'accuracy', error: 'error' } as const;
export type Measured = number | null;

/** A loss, for people. */
export const lossText = (loss: Measured): string => loss?.toFixed(4) ?? 'NaN';
/** A metric, for people: 98.23 %, or 0.1234 where it is an error. */
export const metricText = (kind: 'fraction' | 'error', metric: Measured): string =>
  metric === null ? 'NaN' : kind === 'fraction' ? `${(100 * metric).toFixed(2)} %` : metric.toPrecision(4);

const stepsText = (first: number, last: number) =>
  first === last ? `step ${first}` : `steps ${first} to ${last}`;

/** Every event: its kind, its arguments, and its sentence in English. Steps count from 1, or are the number of those that are done. */
// biome-ignore format: a line each
export const events = {
  // The job.
  'submitted': start({ name: 'text' }, ({ name }) => `submitted as ${name}`),
  'started': start({ epochs: 'number' }, ({ epochs }) => `started: ${counted(epochs, 'epoch')}`),
  'waiting': because({}, (_, why) => `waiting: ${why}`),
  'continued': routine({ step: 'number' }, ({ step }) => `continuing after step ${step}`),
  'stalled': because({}, (_, why) => `giving its turn to other jobs: ${why}`),
  'paused': routine({ step: 'number' }, ({ step }) => `paused after step ${step}`),
  'resumed': routine({ step: 'number', epochs: 'number' }, ({ step, epochs }) => `resumed after step ${step}, up to epoch ${epochs}`),
  'priority': routine({ priority: 'number' }, ({ priority }) => `priority set to ${priority}`),
  'epoch': routine({ epoch: 'number', epochs: 'number', metric: metricKinds, trainLoss: 'measured', trainMetric: 'measured', testLoss: 'measured', testMetric: 'measured', seconds: 'number' }, ({ epoch, epochs, metric, trainLoss, trainMetric, testLoss, testMetric, seconds }) => `epoch ${epoch}/${epochs}: loss ${lossText(trainLoss)}, ${metricNames[metric]} ${metricText(metric, trainMetric)}; test loss ${lossText(testLoss)}, test ${metricNames[metric]} ${metricText(metric, testMetric)}; ${seconds.toFixed(1)} s`),
  'succeeded': end({ step: 'number' }, ({ step }) => `succeeded after step ${step}`),
  'failed': end({ step: 'number', error: 'text' }, ({ step, error }) => `failed after step ${step}: ${error}`),
  'cancelled': end({ step: 'number' }, ({ step }) => `cancelled after step ${step}`),
  // Its workers.
  'worker-joined': routine({ worker: 'text', slots: 'number', backend: 'text' }, ({ worker, slots, backend }) => `worker ${worker} joined (${counted(slots, 'slot')}, ${backend})`),
  'worker-left': because({ worker: 'text' }, ({ worker }, why) => `worker ${worker} disconnected: ${why}`),
  'worker-resting': because({ worker: 'text' }, ({ worker }, why) => `worker ${worker} ${why}`),
  'worker-unable': routine({ worker: 'text', why: 'text' }, ({ worker, why }) => `worker ${worker} cannot compute the job: ${why}`),
  'worker-excluded': because({ worker: 'text' }, ({ worker }, why) => `worker ${worker} is excluded from the job: ${why}`),
  'tasks-reissued': because({ tasks: 'number', first: 'number', last: 'number' }, ({ tasks, first, last }, why) => `${counted(tasks, 'task')} of ${stepsText(first, last)} reissued: ${why}`),
  // The coordinator and its disk.
  'restarted': routine({}, () => 'the coordinator restarted'),
  'restored': routine({ step: 'number' }, ({ step }) => `resuming from the checkpoint of step ${step}`),
  'checkpoint': routine({ step: 'number' }, ({ step }) => `checkpoint of step ${step} saved`),
  'checkpoint-refused': because({}, (_, why) => `training continues, but ${why}`),
  'checkpoint-accepted': routine({ step: 'number' }, ({ step }) => `checkpoints can be written again: step ${step} is on disk`),
  // The record itself.
  'left-out': start({ count: 'number' }, ({ count }) => `${counted(count, 'earlier event')} ${count === 1 ? 'was' : 'were'} not kept`),
  'earlier-version': start({}, () => 'recorded by an earlier version of Kasane: waits, pauses and the times of epochs are unknown'),
};

export type EventCode = keyof typeof events;
export type EventArgs<Code extends EventCode> = ValueOf<(typeof events)[Code]['args']>;

/** An event as it is recorded: with its reason where its code has one. */
export type JobEvent<Code extends EventCode = EventCode> = {
  readonly [C in Code]: {
    readonly code: C;
    readonly args: EventArgs<C>;
  } & ((typeof events)[C]['because'] extends true
    ? { readonly reason: Reason }
    : { readonly reason?: never });
}[Code];

/** One text for each code, with its arguments and the sentence of its reason. */
export type EventTexts = {
  readonly [Code in EventCode]: (args: EventArgs<Code>, why: string) => string;
};

const english = Object.fromEntries(
  Object.entries(events).map(([code, { english }]) => [code, english]),
) as EventTexts;

/** The sentence of an event in a language. @param why that of its reason; empty without one */
export const eventSentence = ({ code, args }: KnownEvent, why: string, texts = english): string =>
  (texts[code] as (args: object, why: string) => string)(args, why);

/** An event without its reason. */
export type KnownEvent = {
  readonly [C in EventCode]: { readonly code: C; readonly args: EventArgs<C> };
}[EventCode];

/** An event that came over a wire; undefined for one that a coordinator of another version has, whose text explains it. */
export function knownEvent({
  code,
  args: json,
}: Pick<EventMessage, 'code' | 'args'>): KnownEvent | undefined {
  if (!Object.hasOwn(events, code)) return undefined;
  const args = readArgs(json);
  return fits(args, events[code as EventCode].args) ? ({ code, args } as KnownEvent) : undefined;
}

/** How a record treats an event, also of another version. */
export const eventKind = (code: string): EventKind =>
  Object.hasOwn(events, code) ? events[code as EventCode].kind : 'routine';
