/** What `kasane eval` says of classes and of outputs that are each a yes or no. */
import { checkJob } from '@kasane/protocol/job';
import { expect, it } from 'vitest';
import { classTable, TestReport } from '../src/commands/eval/report.ts';

/** Two samples: [1, 0, 1, 1] of which the last is missed, and [0, 0, 0, 1]. */
function reportOf(output: number[]) {
  const layers = [
    { type: 'dense', units: 4 },
    ...(output.length > 1 ? [{ type: 'reshape', shape: output }] : []),
  ];
  const job = checkJob({
    name: 'masks',
    model: { input: [4], output, layers },
    objective: { type: 'binary' },
  });
  const report = new TestReport(job, {}, 2);
  report.add(Float32Array.of(5, -5, 5, -5, -5, -5, -5, 5), Float32Array.of(1, 0, 1, 1, 0, 0, 0, 1), 2);
  return report.record(0);
}

it('lists outputs, and how many samples are to be yes there', () => {
  const lines = classTable(reportOf([4]), [4]);
  expect(lines[0]).toMatch(/^OUTPUT +POSITIVE +PRECISION/);
  expect(lines[4]).toMatch(/^3 +2 +100.00 % +50.00 %/);
});

it('lists no places of masks, and calls them by their place in JSON', () => {
  const record = reportOf([2, 2, 1]);
  expect(classTable(record, [2, 2, 1])).toEqual([
    'Precision, recall and F1 are averaged over the 4 outputs [2, 2, 1]; --json has those of each',
  ]);
  expect(record.classes?.map(({ name }) => name)).toEqual([
    '[0, 0, 0]',
    '[0, 1, 0]',
    '[1, 0, 0]',
    '[1, 1, 0]',
  ]);
});
