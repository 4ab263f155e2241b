/**
 * What has happened to jobs: the one record that everybody who tells of it reads. Events are numbered and heard at once, and written beside
 * whatever goes on, several at a time. It reads the clock; nothing here reaches weights.
 */
import { messageOf } from '@kasane/protocol/errors';
import type { Reason as ReasonMessage } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { eventKind, eventSentence, type JobEvent, knownEvent } from '@kasane/protocol/internal/events/events';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT, RUNNING_JOBS } from '@kasane/protocol/limits';
import { messageOfReason, type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import type { JobStore } from './store.ts';

/** Routine events are written so often at most, and what a disk refused is tried again after so long, in milliseconds. */
const INTERVAL_MS = 200;
const RETRY_MS = 1_000;
/** Jobs whose events stay in memory. */
const KEPT_JOBS = 4 * RUNNING_JOBS;
/** A coordinator that was killed may have sent events that it had not written; the next one skips their numbers. */
const GAP = 1_000;

export interface EventRecordOptions {
  readonly store: Pick<JobStore, 'events' | 'newestEvents' | 'writeEvents'>;
  /** Of one job. */
  readonly most: number;
  readonly log: Pick<Logger, 'warn'>;
}

export class EventRecord {
  readonly #options: EventRecordOptions;
  /** Oldest first. Jobs that are not here have all of theirs in the store. */
  readonly #jobs = new Map<string, Event[]>();
  readonly #listeners = new Set<(event: Event) => void>();
  #next: number;
  #unwritten = new Map<number, Event>();
  #removed = new Set<number>();
  #writing: Promise<void> | undefined;
  #lastDeletion: Event | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** There is something to be written as soon as what is being written is. */
  #urgent = false;
  #failed = false;

  constructor(options: EventRecordOptions) {
    this.#options = options;
    const [last] = options.store.newestEvents(1);
    this.#next = last ? last.number + GAP : 1;
  }

  add(job: string, event: JobEvent, time = Date.now()): void {
    const recorded = this.#numbered(job, event, time);
    const list = this.#load(job);
    list.push(recorded);
    this.#unwritten.set(recorded.number, recorded);
    while (list.length > this.#options.most && this.#forgetOne(list));
    for (const listener of this.#listeners) listener(recorded);
    this.#schedule(eventKind(event.code) !== 'routine');
  }

  /** A job has been deleted. That is kept until the next one is: numbers must ascend over restarts. */
  deleted(job: string): void {
    this.forget(job);
    const last = this.#numbered(job, { code: 'deleted', args: {} }, Date.now());
    if (this.#lastDeletion) this.#remove(this.#lastDeletion);
    this.#lastDeletion = last;
    this.#unwritten.set(last.number, last);
    for (const listener of this.#listeners) listener(last);
    this.#schedule(true);
  }

  /** Nothing of a job is written any more. */
  forget(job: string): void {
    this.#jobs.delete(job);
    for (const [number, event] of this.#unwritten) if (event.job === job) this.#unwritten.delete(number);
  }

  #numbered(job: string, event: JobEvent, time: number): Event {
    return { number: this.#next++, job, time, ...keptOf(event) };
  }

  /** Oldest first. */
  of(job: string): readonly Event[] {
    return this.#jobs.get(job) ?? this.#options.store.events(job);
  }

  /** The newest of all jobs, oldest first. */
  newest(most: number): readonly Event[] {
    const written = this.#options.store.newestEvents(most + this.#removed.size);
    const all = new Map(written.map((event) => [event.number, event]));
    for (const number of this.#removed) all.delete(number);
    for (const events of this.#jobs.values()) for (const event of events) all.set(event.number, event);
    return [...all.values()].sort((a, b) => a.number - b.number).slice(-most);
  }

  /** Calls `listener` with each event of any job until the returned function is called. */
  onEvent(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when all that was recorded is written, or refused. */
  async close(): Promise<void> {
    await this.#writing;
    clearTimeout(this.#timer);
    await this.#write();
    clearTimeout(this.#timer);
  }

  #load(job: string): Event[] {
    const events = this.#jobs.get(job) ?? this.#options.store.events(job);
    // The newest last.
    this.#jobs.delete(job);
    this.#jobs.set(job, events);
    return events;
  }

  /** The oldest event of the most frequent code goes, so that no kind of event crowds out the others. False: all stay. */
  #forgetOne(events: Event[]): boolean {
    const lastEnd = events.findLast(({ code }) => eventKind(code) === 'end');
    const mayGo = (event: Event) => eventKind(event.code) !== 'start' && event !== lastEnd;
    const counts = new Map<string, number>();
    for (const { code } of events.filter(mayGo)) counts.set(code, (counts.get(code) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const index = events.findIndex((event) => counts.get(event.code) === most && mayGo(event));
    if (index < 0) return false;
    const [gone] = events.splice(index, 1);
    this.#remove(gone!);
    this.#countOut(events, gone!);
    return true;
  }

  /** Says how many are not kept, where the last of them was. */
  #countOut(events: Event[], gone: Event): void {
    const index = events.findIndex(({ code }) => code === 'left-out');
    const before = index < 0 ? undefined : events.splice(index, 1)[0];
    if (before) this.#remove(before);
    const known = before && knownEvent(before);
    const count = known?.code === 'left-out' ? known.args.count + 1 : 1;
    const { number, job, time } = before && before.number > gone.number ? before : gone;
    const mark = { number, job, time, ...keptOf({ code: 'left-out', args: { count } }) };
    const at = events.findIndex((event) => event.number > number);
    events.splice(at < 0 ? events.length : at, 0, mark);
    this.#unwritten.set(number, mark);
  }

  #remove({ number }: Event): void {
    if (!this.#unwritten.delete(number)) this.#removed.add(number);
  }

  #schedule(urgent: boolean): void {
    this.#urgent ||= urgent;
    if (this.#writing) return;
    if (urgent && !this.#failed) void this.#write();
    else this.#timer ??= setTimeout(() => void this.#write(), this.#failed ? RETRY_MS : INTERVAL_MS);
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [added, removed] = [this.#unwritten, this.#removed];
    if (added.size + removed.size === 0) return Promise.resolve();
    [this.#unwritten, this.#removed, this.#urgent] = [new Map(), new Set(), false];
    this.#writing = this.#options.store
      .writeEvents([...added.values()], [...removed])
      .then(
        () => {
          this.#failed = false;
        },
        (error: unknown) => {
          if (!this.#failed)
            this.#options.log.warn(
              `events could not be recorded: ${messageOf(error)}; retrying until it succeeds`,
            );
          this.#failed = true;
          // What has gone meanwhile is not written any more.
          const left = [...added].filter(([number]) => !this.#removed.has(number));
          this.#unwritten = new Map([...left, ...this.#unwritten]);
          this.#removed = new Set([...removed, ...this.#removed]);
        },
      )
      .finally(() => {
        this.#writing = undefined;
        this.#trim();
        if (this.#unwritten.size + this.#removed.size > 0) this.#schedule(this.#urgent);
      });
    return this.#writing;
  }

  /** Jobs of which nothing was heard for the longest time are read again when they are asked for. */
  #trim(): void {
    if (this.#jobs.size <= KEPT_JOBS) return;
    const unwritten = new Set([...this.#unwritten.values()].map(({ job }) => job));
    for (const job of [...this.#jobs.keys()].slice(0, -KEPT_JOBS))
      if (!unwritten.has(job)) this.#jobs.delete(job);
  }
}

/** An event as it is kept: neither its arguments nor its sentence are longer than an error. */
export function keptOf(event: JobEvent): Pick<Event, 'code' | 'args' | 'reason' | 'text'> {
  const reason: Reason | undefined = event.reason;
  const why = reason ? sentenceOf(reason) : '';
  const [args, text] = [JSON.stringify(event.args), eventSentence(event, why)];
  return {
    code: event.code,
    args: short(args),
    reason: reason && briefReason(reason),
    text: brief(text, ERROR_TEXT),
  };
}

function briefReason(reason: Reason): ReasonMessage {
  const { code, args, text } = messageOfReason(reason);
  return { code, args: short(args), text: brief(text, ERROR_TEXT) };
}

/** Of many workers that each say something long the sentence has as much as there is room for. */
const short = (args: string): string => (args.length > ERROR_TEXT ? '' : args);
