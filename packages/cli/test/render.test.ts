import { JobState, MetricKind } from '@kasane/protocol/gen/kasane/v1/common';
import { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { jobRecord } from '@kasane/protocol/internal/job/job-record';
import xterm from '@xterm/headless';
import { beforeEach, expect, test, vi } from 'vitest';
import { makeLog } from '../src/output/log.ts';
import { epochLine, jobTable } from '../src/render/job.ts';
import { progressView } from '../src/render/progress.ts';
import { testMetricsLine } from '../src/render/test-metrics.ts';

beforeEach(() => void vi.stubEnv('TERM', 'xterm-256color'));

const epoch = (number: number) => ({
  epoch: number,
  trainLoss: 0.5,
  trainMetric: 0.875,
  testLoss: 0.25,
  testMetric: 0.9823,
  seconds: 1.5,
  endedAt: 0,
  testMetrics: {},
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

/** A stream that is a terminal. */
function terminal(columns: number) {
  const screen = new xterm.Terminal({ cols: columns, rows: 24, convertEol: true, allowProposedApi: true });
  const stream = { isTTY: true, columns, write: (piece: string) => screen.write(piece) };
  /** What it shows, in lines as they were before they were wrapped. */
  const lines = async () => {
    await new Promise<void>((done) => screen.write('', done));
    const { active } = screen.buffer;
    const rows = Array.from({ length: active.length }, (_, i) => active.getLine(i)!);
    return rows
      .map((row) => `${row.isWrapped ? '' : '\n'}${row.translateToString(true)}`)
      .join('')
      .trim()
      .split('\n')
      .map((line) => line.trimEnd());
  };
  return { stream: stream as unknown as NodeJS.WriteStream, lines };
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
  expect(epochLine(job({ epochs: 12 }), epoch(1))).toBe(
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

test('nor are there bars on a terminal without a cursor', async () => {
  vi.stubEnv('TERM', 'dumb');
  const { stream, lines } = terminal(120);
  const view = progressView(stream);
  view.update(job({ step: 5 }));
  view.update(job({ history: [epoch(1)] }));
  view.stop();
  expect(await lines()).toEqual([epochLine(job({}), epoch(1))]);
});

test.each([120, 80])(
  'on a terminal of %i columns each epoch is told above the bars, the last one too',
  async (columns) => {
    const { stream, lines } = terminal(columns);
    const view = progressView(stream);
    const running = {
      metricKind: MetricKind.METRIC_KIND_FRACTION,
      trainLoss: 0.5,
      trainMetric: 0.875,
      samplesPerSecond: 123_456,
    };
    view.update(job({ ...running, step: 5 }));
    await expect.poll(lines).toContainEqual(expect.stringMatching(/^steps/));
    const epochs = [epoch(1), epoch(2)];
    view.update(job({ ...running, step: 20, epoch: 2, history: epochs }));
    view.stop();
    const ended = job({ history: epochs });
    const [first, second, ...bars] = await lines();
    expect([first, second]).toEqual(epochs.map((each) => epochLine(ended, each)));
    expect(bars).toEqual([
      expect.stringMatching(/^epochs █+ 2\/2$/),
      expect.stringMatching(/^steps {2}█+ 10\/10 {2}loss 0\.5000/),
    ]);
  },
);

test('on a terminal lines of a log stand above the bars, and where they are when there are none', async () => {
  const { stream, lines } = terminal(80);
  const view = progressView(stream);
  const log = makeLog('info', 'text', (text) => view.write(text));
  log.info('it begins');
  view.update(job({ step: 5, trainLoss: 0.5 }));
  log.warn(`a worker is gone, ${'and more '.repeat(10)}than a line holds`);
  view.stop();
  log.info('it has ended');
  const [first, second, ...bars] = await lines();
  expect(first).toMatch(/it begins$/);
  expect(second).toMatch(/a worker is gone, (and more ){10}than a line holds$/);
  expect(bars).toEqual([
    expect.stringMatching(/^epochs/),
    expect.stringMatching(/^steps/),
    expect.stringMatching(/it has ended$/),
  ]);
});

test('on a terminal a job that never started leaves nothing', async () => {
  const { stream, lines } = terminal(80);
  const view = progressView(stream);
  view.update(job({ steps: 0 }));
  view.stop();
  expect(await lines()).toEqual(['']);
});

test('says the further metrics of a test in a line, an error with its unit', () => {
  expect(testMetricsLine({ precision: 0.5, recall: 1, f1: 2 / 3 })).toBe(
    'Precision 50.00 %, recall 100.00 %, F1 66.67 %',
  );
  expect(testMetricsLine({ rmse: 0.25, r2: -0.125 }, (error) => ` (${8 * error} miles)`)).toBe(
    'Root mean squared error 0.2500 (2 miles), R² -0.1250',
  );
  expect(testMetricsLine({})).toBeUndefined();
  // Of an epoch that an earlier version recorded.
  expect(testMetricsLine(undefined)).toBeUndefined();
});
