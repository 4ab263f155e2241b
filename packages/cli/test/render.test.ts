import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, test } from 'vitest';
import { epochLine, jobRecord, jobTable } from '../src/render/job.ts';
import { progressView } from '../src/render/progress.ts';

const epoch = (number: number) => ({
  epoch: number,
  trainLoss: 0.5,
  trainMetric: 0.875,
  testLoss: 0.25,
  testMetric: 0.9823,
  seconds: 1.5,
});
const job = (fields: Partial<Job>) =>
  Job.fromPartial({
    id: 'j-1',
    name: 'j',
    state: JobState.JOB_STATE_RUNNING,
    epochs: 2,
    steps: 20,
    ...fields,
  });

/** A stream that is no terminal. */
function paper() {
  let text = '';
  const stream = {
    isTTY: false,
    write: (piece: string) => {
      text += piece;
      return true;
    },
  };
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
}

test('a record says null where there is nothing yet', () => {
  const record = jobRecord(job({ submittedAt: 0 }));
  expect(record).toMatchObject({
    state: 'running',
    testAccuracy: null,
    digest: null,
    error: null,
    startedAt: null,
  });
  expect(jobRecord(job({ history: [epoch(1)] })).testAccuracy).toBe(0.9823);
});

test('every state has a word', () => {
  const states = Object.values(JobState).filter((state) => typeof state === 'number' && state > 0);
  const words = states.map((state) => jobRecord(job({ state: state as JobState })).state);
  expect(new Set(words).size).toBe(states.length);
});

test('a table has a line a job and no trailing blanks', () => {
  const text = jobTable([job({}), job({ id: 'a-much-longer-name', history: [epoch(1)] })]);
  const lines = text.split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[2]).toMatch(/^a-much-longer-name +running .*98\.23 %/);
  expect(lines.every((line) => line === line.trimEnd())).toBe(true);
  const column = lines[0]!.indexOf('STATE');
  expect(lines.slice(1).map((line) => line.slice(column, column + 7))).toEqual(['running', 'running']);
});

test('an epoch is one line', () => {
  expect(epochLine(job({ epochs: 12, history: [epoch(1)] }), 0)).toBe(
    'epoch  1/12  loss 0.5000  accuracy 87.50 %  test loss 0.2500  test accuracy 98.23 %  1.5 s',
  );
});

test('without a terminal each epoch is told once, in plain text', () => {
  const { stream, text } = paper();
  const view = progressView(stream);
  view.update(job({}));
  view.update(job({ history: [epoch(1)] }));
  view.update(job({ history: [epoch(1)] }));
  view.update(job({ history: [epoch(1), epoch(2)] }));
  view.stop();
  expect(text().trimEnd().split('\n')).toHaveLength(2);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what must not be there
  expect(text()).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
});
