/** The table of a run, written by one side of a slot and read by the other. */
import type { ProgramLayout } from '@kasane/tensor/backends/layout';
import { type TaskRow, TaskTable, tableBytes } from '@kasane/worker/internal/slots/task-table';
import { expect, it } from 'vitest';

/** Of two samples, each with three targets. */
const layout = {
  samples: 2,
  labels: { offset: 0, length: 6 },
  sampleIds: { offset: 24, length: 2 },
  key: { offset: 32, length: 4 },
} as ProgramLayout;
const rows: TaskRow[] = [
  { program: 0, start: 0, gradients: 1, kept: 0, added: 0, isKept: true },
  { program: 1, start: 2, gradients: 3, kept: 2, added: 1, isKept: false },
];
const given = {
  target: Int32Array.from({ length: 12 }, (_, index) => index - 5),
  ids: Uint32Array.of(7, 8, 9, 4_294_967_295),
  key: Uint32Array.of(1, 2, 3, 0),
};

it.each([true, false])('has the rows, the samples of each and the results; whole targets: %s', (isWhole) => {
  const memory = new SharedArrayBuffer(tableBytes(rows.length, given));
  new TaskTable(memory).write(rows, given, isWhole);
  const table = new TaskTable(memory);
  expect(table.pieces).toBe(2);
  expect([table.row(0), table.row(1)]).toEqual(rows);

  const program = new ArrayBuffer(48);
  table.copy(2, layout, new Uint32Array(program));
  const targets = isWhole ? new Int32Array(program, 0, 6) : new Float32Array(program, 0, 6);
  expect([...targets]).toEqual([1, 2, 3, 4, 5, 6]);
  expect([...new Uint32Array(program, 24, 6)]).toEqual([9, 4_294_967_295, 1, 2, 3, 0]);

  const results = { lossSum: 0.1, metricSum: 2, counted: 3, weight: 1e300 };
  table.setResults(1, results);
  expect(table.results(1)).toEqual(results);
  // Beside what is read again for the first piece.
  expect(table.row(1)).toEqual(rows[1]);
  table.copy(0, layout, new Uint32Array(program));
  expect([...targets]).toEqual([-5, -4, -3, -2, -1, 0]);
});

it('leaves the ids alone where a program has none', () => {
  const memory = new SharedArrayBuffer(tableBytes(1, given));
  const table = new TaskTable(memory);
  table.write(rows.slice(0, 1), given, true);
  const program = new Uint32Array(12);
  table.copy(0, { ...layout, sampleIds: { offset: 24, length: 0 } }, program);
  expect([...program.subarray(6)]).toEqual([0, 0, 0, 0, 0, 0]);
});
