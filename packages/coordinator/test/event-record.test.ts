/** The record of events: what stays of it, and that it comes through disks that refuse and coordinators that are killed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { knownEvent } from '@kasane/protocol/internal/events/events';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Waits } from '../src/jobs/waits.ts';
import { Reissues } from '../src/run/reissues.ts';
import { EventRecord } from '../src/store/event-record.ts';
import type { JobRecord } from '../src/store/job-record.ts';
import { JobStore } from '../src/store/store.ts';

let directory: string;
let store: JobStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kasane-events-'));
  store = new JobStore(directory);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const warnings: string[] = [];
const log = { warn: (...said: unknown[]) => void warnings.push(String(said.at(-1))) };
const recordOf = (most = 20, of: Pick<JobStore, 'events' | 'newestEvents' | 'writeEvents'> = store) =>
  new EventRecord({ store: of, most, log });
const left = (worker: string) =>
  ({ code: 'worker-left', args: { worker }, reason: { code: 'link-lost', args: {} } }) as const;
const codes = (events: readonly Event[]) => events.map(({ code }) => code);

describe('the record', () => {
  it('survives a restart in order, and continues with higher numbers', async () => {
    const record = recordOf();
    const heard: Event[] = [];
    record.onEvent((event) => heard.push(event));
    record.add('a', { code: 'submitted', args: { name: 'x' } }, 1000);
    record.add('b', { code: 'submitted', args: { name: 'y' } }, 1001);
    record.add('a', left('w'), 1002);
    await record.close();
    const again = recordOf();
    expect(again.of('a')).toEqual(heard.filter(({ job }) => job === 'a'));
    expect(again.newest(2)).toEqual(heard.slice(1));
    expect(heard[2]).toMatchObject({
      ...{ job: 'a', time: 1002, code: 'worker-left', args: '{"worker":"w"}' },
      ...{ reason: { code: 'link-lost', args: '{}' }, text: 'worker w disconnected: data link lost' },
    });
    again.add('a', { code: 'restarted', args: {} });
    expect(again.of('a').at(-1)!.number).toBeGreaterThan(heard[2]!.number);
    expect(codes(again.newest(9))).toEqual(['submitted', 'submitted', 'worker-left', 'restarted']);
    await again.close();
  });

  it('is bounded: a worker that comes and goes crowds out neither epochs nor beginning and end', async () => {
    const record = recordOf(20);
    record.add('a', { code: 'submitted', args: { name: 'x' } });
    record.add('a', { code: 'started', args: { epochs: 3 } });
    for (let step = 1; step <= 5; step++) record.add('a', { code: 'restored', args: { step } });
    for (let index = 0; index < 500; index++) record.add('a', left(`w${index}`));
    record.add('a', { code: 'cancelled', args: { step: 1 } });
    record.add('a', { code: 'resumed', args: { step: 1, epochs: 3 } });
    record.add('a', { code: 'succeeded', args: { step: 9 } });
    for (let index = 0; index < 100; index++)
      record.add('a', { code: 'priority', args: { priority: index } });
    const events = record.of('a');
    expect(events).toHaveLength(20);
    for (const code of ['submitted', 'started', 'succeeded', 'left-out', 'resumed'])
      expect(codes(events)).toContain(code);
    expect(codes(events).filter((code) => code === 'restored').length).toBeGreaterThanOrEqual(3);
    // The newest of each.
    expect(events.filter(({ code }) => code === 'worker-left').at(-1)!.text).toContain('w499');
    expect(events.at(-1)!.args).toBe('{"priority":99}');
    const mark = knownEvent(events.find(({ code }) => code === 'left-out')!);
    // With what is not kept, and but for the mark itself, it is all.
    expect(mark!.args).toEqual({ count: 2 + 5 + 500 + 3 + 100 - 19 });
    const numbers = events.map(({ number }) => number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    await record.close();
    expect(store.events('a')).toEqual(events);
  });

  it('waits for a disk that refuses, and loses nothing', async () => {
    let refuses = true;
    const writes: number[] = [];
    const patient = recordOf(20, {
      events: (job) => store.events(job),
      newestEvents: (most) => store.newestEvents(most),
      writeEvents: async (added, removed) => {
        if (refuses) throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
        writes.push(added.length);
        await store.writeEvents(added, removed);
      },
    });
    patient.add('a', { code: 'submitted', args: { name: 'x' } });
    for (let index = 0; index < 50; index++) patient.add('a', left(`w${index}`));
    await expect.poll(() => warnings.at(-1)).toMatch(/^events could not be recorded: .*; retrying/);
    expect(store.events('a')).toEqual([]);
    const told = patient.of('a');
    expect(told).toHaveLength(20);
    expect(patient.newest(100)).toEqual(told);
    refuses = false;
    await expect.poll(() => store.events('a'), { timeout: 10_000 }).toEqual(told);
    // All at once.
    expect(writes).toEqual([20]);
    await patient.close();
  });

  it('keeps no arguments and sentences that are longer than an error', async () => {
    const record = recordOf();
    const why = 'x'.repeat(3 * ERROR_TEXT);
    record.add('a', { code: 'worker-unable', args: { worker: 'w', why } });
    record.add('a', {
      code: 'worker-left',
      args: { worker: 'w' },
      reason: { code: 'refused', args: { why } },
    });
    for (const { args, reason, text } of record.of('a')) {
      expect(args.length).toBeLessThan(ERROR_TEXT);
      expect(text).toMatch(/^worker w .*x{100}.*\.\.\. \(\d+ characters\)$/);
      if (reason) expect([reason.args, reason.text.length < ERROR_TEXT + 100]).toEqual(['', true]);
    }
    await record.close();
  });

  it('of jobs that ended long ago keeps how they began and ended', async () => {
    const record = recordOf();
    for (const [index, id] of ['old', 'new'].entries()) {
      store.add(id, 'job', '{}', index);
      record.add(id, { code: 'submitted', args: { name: 'job' } });
      record.add(id, left('w'));
      record.add(id, { code: 'succeeded', args: { step: 4 } });
      store.end(id, { state: JobState.JOB_STATE_SUCCEEDED, error: '', endedAt: 10 + index, step: 4 });
    }
    await record.close();
    await store.forget(1);
    expect(codes(store.events('old'))).toEqual(['submitted', 'succeeded']);
    expect(codes(store.events('new'))).toEqual(['submitted', 'worker-left', 'succeeded']);
  });
});

it('a wait is told when it begins and when it ends, and not for each change of its arguments', () => {
  const told: string[] = [];
  const waits = new Waits({
    add: (_, { code, reason }) => void told.push(reason ? `${code} ${reason.code}` : code),
  });
  const job = { id: 'a', state: JobState.JOB_STATE_RUNNING, startedAt: 1 } as JobRecord;
  const look = (of: JobRecord, why?: Parameters<Waits['look']>[1]) => waits.look(of, why, 3);
  look(job);
  look(job, { code: 'shards-waiting', args: { shards: [1] } });
  look(job, { code: 'no-worker', args: { step: 4 } });
  look(job, { code: 'no-worker', args: { step: 5 } });
  look(job, { code: 'redis-silent', args: { since: '12:00:00' } });
  look(job, { code: 'shards-computing', args: { shards: [1] } });
  look(job);
  expect(told.splice(0)).toEqual(['waiting no-worker', 'waiting redis-silent', 'continued']);
  // The end of a wait by a pause or a stop is told by that.
  look(job, { code: 'no-worker', args: {} });
  look(job, { code: 'stopping', args: {} });
  look({ ...job, state: JobState.JOB_STATE_PAUSED }, { code: 'paused', args: { job: 'a' } });
  expect(told.splice(0)).toEqual(['waiting no-worker']);
  // It has not started yet.
  look({ ...job, startedAt: 0 }, { code: 'jobs-ahead', args: { count: 4, jobs: ['b'] } });
  look({ ...job, startedAt: 0 }, { code: 'reading-data', args: {} });
  expect(told.splice(0)).toEqual(['waiting jobs-ahead']);
  waits.close();
  look(job, { code: 'no-worker', args: {} });
  expect(told).toEqual([]);
});

it('tasks that are reissued are told at once, and then once a second together', () => {
  const told: object[] = [];
  const reissues = new Reissues(({ args }) => void told.push(args));
  const why = { code: 'shards-returned', args: { shards: [0] } } as const;
  reissues.add(7, 2, why, 0);
  expect(told.splice(0)).toEqual([{ tasks: 2, first: 7, last: 7 }]);
  for (let now = 10; now < 1000; now += 10) reissues.add(7 + now / 10, 1, why, now);
  expect(told).toEqual([]);
  reissues.tick(1000);
  reissues.tick(2500);
  expect(told.splice(0)).toEqual([{ tasks: 99, first: 8, last: 106 }]);
  reissues.add(200, 1, why, 1600);
  reissues.tell(1601);
  expect(told).toEqual([{ tasks: 1, first: 200, last: 200 }]);
});
