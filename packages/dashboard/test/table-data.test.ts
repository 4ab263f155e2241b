/** The columns that the page compares: what the server sent, what has changed since, in which order, on which scale. */
import { packedRuns, type Run } from '@kasane/protocol/internal/job/runs';
import { expect, it } from 'vitest';
import { frontOf } from '../src/page/tables/front.ts';
import { columnOf, scaleOf, selectedRows, TableData, unpacked } from '../src/page/tables/table-data.ts';

const run = (id: string, record: object, file: object): Run =>
  ({
    job: { id },
    record: { job: id, ...record },
    file,
    cost: () => (id === 'a' ? null : { parameters: 5, flops: 7 }),
  }) as unknown as Run;
const runs = [
  run(
    'a',
    { state: 'running', testMetrics: {} },
    { training: { batch: 64, epochs: 2 }, model: { layers: [{ units: 8 }] } },
  ),
  run(
    'b',
    { state: 'succeeded', testMetrics: { f1: 0.5 } },
    { training: { batch: 128, epochs: 2 }, model: { layers: [{ units: 8 }, { units: 2 }] } },
  ),
  run(
    'c',
    { state: 'succeeded', testMetrics: { f1: 0.7 } },
    { training: { batch: 64, epochs: 2, seed: 3 }, model: { layers: [{ units: 4 }] } },
  ),
];
const valuesOf = (columns: ReturnType<typeof unpacked>) =>
  Object.fromEntries(columns.map(({ key, values }) => [key, values]));

it('sends each key and each value once, and keys that differ apart', () => {
  const packed = packedRuns(runs);
  expect(packed.jobs).toEqual(['a', 'b', 'c']);
  expect(packed.differing).toEqual(['training.batch', 'model.layers', 'training.seed']);
  expect(packed.columns.find(({ key }) => key === 'training.batch')).toEqual({
    ...{ key: 'training.batch', values: [64, 128], at: [0, 1, 0] },
  });
  expect(valuesOf(unpacked(packed, new Map()))).toEqual({
    state: ['running', 'succeeded', 'succeeded'],
    'testMetrics.f1': [null, 0.5, 0.7],
    parameters: [null, 5, 5],
    flops: [null, 7, 7],
    'training.batch': [64, 128, 64],
    'model.layers': runs.map(({ file }) => (file.model as { layers: unknown }).layers),
    'training.seed': [null, null, 3],
    'training.epochs': [2, 2, 2],
  });
  expect(packedRuns([])).toMatchObject({ jobs: [], differing: [] });
});

it('takes what has changed, with metrics that nobody had before', () => {
  const changed = new Map([
    ['a', { state: 'succeeded', 'testMetrics.f1': 0.6, 'testMetrics.recall': 1 }],
    ['unknown', { state: 'queued' }],
  ]);
  expect(valuesOf(unpacked(packedRuns(runs), changed))).toMatchObject({
    state: ['succeeded', 'succeeded', 'succeeded'],
    'testMetrics.f1': [0.6, 0.5, 0.7],
    'testMetrics.recall': [1, null, null],
  });
});

it('sorts by any column, what has no value last, and keeps what is alike in order', () => {
  const data = new TableData(
    ['a', 'b', 'c', 'd'],
    [columnOf('x', [2, null, 1, 2]), columnOf('y', ['b', 'a', 'b', 'a'])],
  );
  const sorted = (key: string, sign: 1 | -1) => selectedRows(data, [], { key, sign });
  expect(sorted('x', 1)).toEqual([2, 0, 3, 1]);
  expect(sorted('x', -1)).toEqual([0, 3, 2, 1]);
  expect(sorted('y', 1)).toEqual([1, 3, 0, 2]);
  expect(sorted('nothing', 1)).toEqual([0, 1, 2, 3]);
  expect(selectedRows(data, [{ column: 'y', meets: (value) => value === 'b' }], undefined)).toEqual([0, 2]);
});

it('the front of two results are those that no other beats in both', () => {
  const points = [
    [1, 5],
    [2, 5],
    [2, 3],
    [2, 3],
    [3, 4],
    [4, 1],
  ] as const;
  expect(frontOf(points)).toEqual([0, 2, 5]);
  expect(frontOf([])).toEqual([]);
});

it('places numbers by size, or by their logarithms where those are even, and choices one beside the other', () => {
  const places = (values: readonly unknown[]) => {
    const scale = scaleOf(columnOf('x', values), [...values.keys()]);
    return { ...scale, places: values.map((value) => scale.place(value)) };
  };
  expect(places([0, 5, 10])).toMatchObject({ isLogarithmic: false, least: 0, most: 10, places: [0, 0.5, 1] });
  expect(places([1, 10, 100])).toMatchObject({ isLogarithmic: true, places: [0, expect.closeTo(0.5, 9), 1] });
  expect(places([0.001, 0.5, 0.99])).toMatchObject({ isLogarithmic: false });
  expect(places([7, 7, null])).toMatchObject({ places: [0.5, 0.5, undefined] });
  expect(places(['b', 'a', null, 'c'])).toMatchObject({
    choices: ['a', 'b', 'c'],
    places: [0.5, 0, undefined, 1],
  });
  expect(places([null, null]).places).toEqual([undefined, undefined]);
});
