/** What `kasane logs` makes of looks at a job. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { messageOfReason, type Reason } from '@kasane/protocol/reasons';
import { expect, it } from 'vitest';
import { eventsBetween } from '../src/commands/logs.ts';

const epoch = (number: number) => ({
  ...{ epoch: number, trainLoss: 1, trainMetric: 0.5, testLoss: 1, testMetric: 0.5, seconds: 10 },
});
const look = (fields: Partial<Job>): Job =>
  Job.fromPartial({
    ...{ id: 'x-1', name: 'x', submittedAt: 1000, startedAt: 2000, epochs: 3, steps: 30, step: 10 },
    state: JobState.JOB_STATE_RUNNING,
    history: [epoch(1)],
    ...fields,
  } as never);

it('tells the past with its times', () => {
  const ended = look({
    history: [epoch(1), epoch(2)],
    endedAt: 30_000,
    state: JobState.JOB_STATE_FAILED,
    error: 'no data',
  });
  expect(eventsBetween(undefined, ended).map(({ time, event }) => [Date.parse(time), event])).toEqual([
    [1000, 'submitted'],
    [2000, 'started'],
    [12_000, 'epoch'],
    [22_000, 'epoch'],
    [30_000, 'failed'],
  ]);
  expect(eventsBetween(undefined, ended).at(-1)!.message).toBe('no data');
  expect(eventsBetween(undefined, look({ startedAt: 0, history: [] })).map(({ event }) => event)).toEqual([
    'submitted',
  ]);
});

it('then only what is new: waits, that it goes on, epochs, the end', () => {
  const waits = (reason: Reason, rest: Partial<Job> = {}) =>
    look({ ...rest, waitingFor: messageOfReason(reason) });
  const waiting = waits({ code: 'no-worker', args: {} });
  const computing = waits({ code: 'shards-computing', args: { step: 11, shards: [1] } }, { step: 11 });
  expect(eventsBetween(look({}), computing, 5000)).toEqual([]);
  expect(eventsBetween(look({}), waiting, 5000)).toEqual([
    {
      ...{ time: new Date(5000).toISOString(), event: 'waiting', message: 'no worker is connected' },
      reason: { code: 'no-worker', args: {} },
    },
  ]);
  expect(eventsBetween(waiting, waiting, 6000)).toEqual([]);
  const disk = waits({ code: 'disk', args: { writing: 'last-checkpoint', cause: 'ENOSPC' } });
  expect(eventsBetween(waiting, disk, 6500)).toMatchObject([{ event: 'waiting', message: /disk/ }]);
  const shares = waits({ code: 'turns', args: { jobs: ['y-2'] } });
  expect(eventsBetween(look({}), shares, 6600)).toEqual([]);
  const late = waits({ code: 'shards-unfetched', args: { step: 11, shards: [1, 2] } });
  expect(eventsBetween(look({}), late, 6700)).toEqual([]);
  // What a worker says may hold any word.
  const said = [{ why: 'the shards are too large', workers: ['a'] }];
  const none = waits({ code: 'no-able-worker', args: { step: 11, said } });
  expect(eventsBetween(look({}), none, 6750)).toMatchObject([{ event: 'waiting' }]);
  // A newer coordinator may have reasons that this program does not know: their sentences are shown.
  const newer = look({ waitingFor: { code: 'of-later', args: '{}', text: 'the moon is full' } });
  expect(eventsBetween(look({}), newer, 6770)).toMatchObject([
    { event: 'waiting', message: 'the moon is full', reason: { code: 'of-later', args: {} } },
  ]);
  const paused = waits({ code: 'paused', args: { job: 'x-1' } }, { state: JobState.JOB_STATE_PAUSED });
  expect(eventsBetween(waiting, paused, 6800)).toMatchObject([{ event: 'paused' }]);
  expect(eventsBetween(waiting, look({}), 7000)).toMatchObject([{ event: 'going on', message: 'step 10' }]);
  const two = look({ history: [epoch(1), epoch(2)] });
  expect(eventsBetween(look({}), two, 9000)).toMatchObject([{ event: 'epoch', message: /2\/3/ }]);
  const done = look({ ...two, state: JobState.JOB_STATE_SUCCEEDED, endedAt: 9500, step: 30 });
  expect(eventsBetween(two, done, 9600)).toMatchObject([{ event: 'succeeded', message: 'step 30' }]);
});
