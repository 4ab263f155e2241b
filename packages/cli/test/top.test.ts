/** What `kasane top` shows of a cluster, without a terminal; test/top.test.ts has one. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { Event, Job, Snapshot as Seen, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../src/commands/top/feed.ts';
import { type Choice, screen, type View } from '../src/commands/top/screen.ts';
import { jobEvents, ofOpenJobs, workerEvents } from '../src/commands/top/top.ts';
import { curve } from '../src/render/braille.ts';

describe('a curve', () => {
  it('goes from the upper left to the lower right, and from there up', () => {
    expect(curve([3, 2, 1, 0], 2, 1)).toEqual({ lines: ['⠑⢄'], least: 0, greatest: 3 });
    expect(curve([0, 3], 1, 1).lines).toEqual(['⡸']);
  });

  it('is as wide and high as it was to be, whatever the values', () => {
    for (const values of [
      [],
      [1],
      [Number.NaN, 1],
      Array.from({ length: 1000 }, (_, i) => Math.sin(i / 50)),
    ]) {
      const { lines } = curve(values, 30, 5);
      expect(lines).toHaveLength(5);
      for (const line of lines) expect(line).toMatch(/^[\u2800-\u28ff]{30}$/);
    }
    expect(curve([5, 5, 5], 3, 1).lines[0]).not.toBe('\u2800\u2800\u2800');
    expect(curve([1, Number.NaN, 1, 1], 2, 1).lines[0]).toBe('⠄⠤');
  });
});

const job = (fields: Partial<Job>): Job =>
  Job.fromPartial({
    ...{ id: 'a-1', name: 'a', state: JobState.JOB_STATE_RUNNING, epochs: 4, step: 50, steps: 200 },
    ...{ submittedAt: 1000, startedAt: 2000, trainLoss: 0.25 },
    ...fields,
  } as never);
const snapshot: Snapshot = {
  version: '9.9.9',
  problem: '',
  jobs: [
    job({}),
    job({
      id: 'b-2',
      state: JobState.JOB_STATE_PAUSED,
      waitingFor: { code: 'paused', args: '{"job":"b-2"}', text: 'it is paused' },
    }),
  ],
  workers: [
    {
      ...{ id: 'w-1', host: 'h', slots: 4, connectedAt: 0, tasksDone: 7, tasksHeld: 2 },
      ...{ backend: 'wasm', draining: false, busy: 2, waiting: 0, silentMs: 0 },
      ...{ bytesReceived: 0, bytesSent: 0, tasksFailed: 0, resting: [], routes: [] },
    },
  ],
  departed: [],
  layers: [{ name: 'dense1', type: 'dense', outputShape: [10], parameters: 7850, flops: 1, from: ['input'] }],
  points: [1, 2, 3].map((step) =>
    StepMetrics.fromPartial({
      ...{ step, loss: 1 / step, metric: 0.5, learningRate: 0.01 },
      layers: [{ layer: 'dense1', gradientNorm: 0.125, weightNorm: 2, updateRatio: 0.001 }],
    }),
  ),
};
const show = (choice: Partial<Choice>, columns = 100, rows = 24, of = snapshot) =>
  screen(
    of,
    { job: '', view: 'curves', help: false, confirm: '', said: '', ...choice },
    { columns, rows, coordinator: 'here:1' },
  );

describe('the screen', () => {
  it.each<[View, RegExp]>([
    ['curves', /loss 0\.3333, from 0\.3333 to 1\.000/],
    ['layers', /dense1 +dense +10 +7,850 +0\.125 +2\.00 +0\.00100/],
    ['workers', /w-1 +h +wasm +4 +7 +2/],
  ])('%s: fills the terminal and no more', (view, says) => {
    for (const [columns, rows] of [
      [100, 24],
      [40, 10],
      [200, 60],
    ] as const) {
      const lines = show({ view }, columns, rows);
      expect(lines).toHaveLength(rows);
      for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(columns);
    }
    const text = show({ view })
      .map((line) => line.text)
      .join('\n');
    expect(text).toMatch(says);
    expect(text).toMatch(/b-2 +paused .*it is paused/);
    expect(text).toContain(`1 worker, 4 slots`);
  });

  it('marks the chosen job, asks before it cancels, and knows its keys', () => {
    expect(show({ job: 'b-2' }).find(({ style }) => style === 'inverse')!.text).toMatch(/^> b-2/);
    expect(show({ confirm: 'b-2' }).at(-1)!.text).toContain('cancel b-2?');
    expect(show({ help: true }).some(({ text }) => text.includes('pause the job'))).toBe(true);
    expect(show({}, 80, 24, { ...snapshot, jobs: [] })[1]!.text).toContain('no jobs');
    expect(show({}, 80, 24, { ...snapshot, problem: 'gone' })[1]).toEqual({ text: 'gone', style: 'red' });
  });

  it('names layers in trouble as the page does', () => {
    const layers = ['first', 'second'].map((name, index) => ({
      ...snapshot.layers[0]!,
      name,
      type: ['dense', 'relu'][index]!,
    }));
    const points = Array.from({ length: 10 }, (_, at) =>
      StepMetrics.fromPartial({
        step: at + 1,
        layers: layers.map(({ name }, index) => ({
          ...{ layer: name, weightNorm: 2, updateRatio: 0.001 },
          gradientNorm: index === 0 ? 1e-6 : 1,
        })),
      }),
    );
    const activations = Seen.fromPartial({ step: 9, layers: [{ layer: 'second', deadUnits: 6, units: 10 }] });
    const shown = show({ view: 'layers' }, 120, 24, { ...snapshot, layers, points, activations });
    expect(shown.map(({ text }) => text).join(' ')).toMatch(
      /Dead units in second .* Lower the learning rate/,
    );
    const red = shown.filter(({ style }) => style === 'red').map(({ text }) => text);
    expect(red).toHaveLength(2);
    expect(red[0]).toMatch(/^first .* vanishing gradient$/);
    expect(red[1]).toMatch(/^second .* 6\/10 +dead units$/);
  });

  it('shows the chosen one of many', () => {
    const jobs = Array.from({ length: 50 }, (_, index) => job({ id: `j-${index}` }));
    for (const { id } of jobs)
      expect(
        show({ job: id }, 80, 24, { ...snapshot, jobs }).some(({ text }) => text.startsWith(`> ${id} `)),
      );
  });
});

it('events: workers that come and go, and why', () => {
  expect(workerEvents(undefined, snapshot, 5000)).toMatchObject([
    { subject: 'w-1', event: 'joined', message: 'joined (4 slots, wasm)', time: '1970-01-01T00:00:05.000Z' },
  ]);
  const why = { code: 'connection-lost', args: '{}', text: 'connection lost' };
  const gone = { id: 'w-1', host: 'h', connectedAt: 0, leftAt: 1, tasksDone: 0, drained: false, why };
  const later = { ...snapshot, workers: [], departed: [gone] };
  expect(workerEvents(snapshot, later, 6000)).toMatchObject([
    ...[{ subject: 'w-1', event: 'left', message: 'disconnected: connection lost' }],
  ]);
  expect(workerEvents(later, later, 7000)).toEqual([]);
});

it('events: of jobs as they are recorded, but for those of their workers', () => {
  const event = (job: string, code: string) => Event.fromPartial({ job, code, args: '{}', text: code });
  const past = [
    event('a', 'submitted'),
    event('b', 'submitted'),
    event('a', 'worker-left'),
    event('b', 'failed'),
    event('c', 'failed'),
    event('c', 'resumed'),
  ];
  const told = jobEvents(ofOpenJobs(past)).map(({ subject, event }) => `${subject} ${event}`);
  expect(told).toEqual(['a submitted', 'c failed', 'c resumed']);
});
