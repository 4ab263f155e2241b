/** `kasane eval` on a table whose answers are known, with a model whose weights are written by hand. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { packData } from '@kasane/data/internal/packed/pack';
import { openData } from '@kasane/data/open';
import { checkJob } from '@kasane/protocol/job';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type EvalOptions, evaluate } from '../src/commands/eval/eval.ts';

let folder: string;
const at = (name: string) => join(folder, name);

const lineJob = {
  name: 'line',
  model: { input: [1], output: [1], layers: [{ type: 'dense', units: 1 }] },
  objective: { type: 'regression' },
  data: { format: 'csv', target: 'y', task: 'regression', standardize: false },
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  // y is 2 x, and in the other file 2 x + 3.
  const rows = Array.from({ length: 230 }, (_, x) => x / 10);
  writeFileSync(at('line.csv'), `x,y\n${rows.map((x) => `${x},${2 * x}`).join('\n')}\n`);
  writeFileSync(at('above.csv'), `x,y\n${rows.map((x) => `${x},${2 * x + 3}`).join('\n')}\n`);
  writeFileSync(at('unlabeled.csv'), 'x\n1\n2\n');
  writeFileSync(at('odd.csv'), 'x,y\n1,2\n2,none of it\n');
  writeFileSync(at('few.csv'), 'note,y,x\nfirst,5,1\nsecond,7,2\n');
  writeFileSync(at('words.csv'), 'text,label\nred,a\nblue,b\n');
  const job = checkJob({ ...lineJob, data: { ...lineJob.data, path: at('line.csv') } });
  const { path: _, ...data } = job.spec.data as { path: string };
  // As trained with the end of the file kept back, and with all of it.
  for (const [name, test] of [['line'], ['whole', at('above.csv')]] as const) {
    const { preparation } = await openData({ ...job.spec.data, test } as typeof job.spec.data, anywhere);
    const about = { job: name, objective: job.objective, preparation, data };
    const parameters = Float32Array.of(2, 0.25);
    writeFileSync(at(`${name}.safetensors`), encodeModelFile({ model: job.model, parameters, about }));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function printed({
  model = 'line',
  ...options
}: Partial<EvalOptions> & { model?: string }): Promise<string> {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await evaluate(at(`${model}.safetensors`), { coordinator: '127.0.0.1:1', ...options });
    return out.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    out.mockRestore();
  }
}

it('finds the error on the part for testing', async () => {
  const record = JSON.parse(await printed({ data: at('line.csv'), json: true })) as Record<string, unknown>;
  expect(record).toMatchObject({ samples: 46, counted: 46, metric: 'mean absolute error' });
  expect(record.value).toBeCloseTo(0.25, 5);
  expect(record.loss).toBeCloseTo(0.0625, 5);
});

it('says it in a line', async () => {
  expect(await printed({ data: at('line.csv') })).toMatch(
    /^Test mean absolute error 0\.2500, loss 0\.0625 on 46 samples in [\d.]+ s\nRoot mean squared error 0\.2500, R² 0\.99\d+\n$/,
  );
});

it('computes batches the last of which is short, on test data that stands apart', async () => {
  const options = { data: at('line.csv'), test: at('above.csv') };
  expect(await printed({ ...options, model: 'whole' })).toMatch(
    /^Test mean absolute error 2\.750, loss 7\.562\d on 230 samples/,
  );
});

it.each([{}, { data: 'line.csv' }])(
  'takes labeled rows that the job did not know: %j',
  async (options: { data?: string }) => {
    const given = { ...(options.data && { data: at(options.data) }), test: at('few.csv') };
    expect(await printed(given)).toMatch(/^Test mean absolute error 2\.750, loss 7\.562\d on 2 samples/);
  },
);

it.each([1, 3])('takes labeled rows that all have one target: %i of them', async (count) => {
  writeFileSync(at('same.csv'), `x,y\n${'1,5\n'.repeat(count)}`);
  expect(await printed({ test: at('same.csv') })).toMatch(
    new RegExp(`^Test mean absolute error 2\\.750, loss 7\\.562\\d on ${count} samples?`),
  );
});

it('takes the same data packed', async () => {
  const { spec } = checkJob({ ...lineJob, data: { ...lineJob.data, path: at('line.csv') } });
  await packData(await openData(spec.data, anywhere), at('packed'));
  const value = async (place: string) =>
    (JSON.parse(await printed({ data: at(place), json: true })) as { readonly value: number }).value;
  expect(await value('packed')).toBe(await value('line.csv'));
});

it('of a series, compares the step of its times where the weights tell it', async () => {
  const day = (index: number, step: number) => new Date(step * index * 86_400_000).toISOString().slice(0, 10);
  const values = Array.from({ length: 60 }, (_, index) => Math.sin(index));
  const series = (step: number) =>
    `time,y\n${values.map((value, index) => `${day(index, step)},${value}`).join('\n')}\n`;
  writeFileSync(at('daily.csv'), series(1));
  writeFileSync(at('weekly.csv'), series(7));
  const job = checkJob({
    name: 'series',
    model: {
      input: [4, 1],
      output: [1, 1],
      layers: [{ type: 'flatten' }, { type: 'dense', units: 1 }, { type: 'reshape', shape: [1, 1] }],
    },
    objective: { type: 'regression' },
    data: { format: 'series', path: at('daily.csv'), window: 4, target: 'y' },
  });
  const { preparation } = await openData(job.spec.data, anywhere);
  const { step, ...earlier } = preparation.series!;
  expect(step).toBe(86_400_000);
  const { path: _, ...data } = job.spec.data as { path: string };
  const parameters = new Float32Array(job.model.parameterCount);
  for (const [name, series] of [
    ['now', { ...earlier, step }],
    ['earlier', earlier],
  ] as const) {
    const about = { job: name, objective: job.objective, preparation: { ...preparation, series }, data };
    writeFileSync(at(`${name}.safetensors`), encodeModelFile({ model: job.model, parameters, about }));
  }
  for (const model of ['now', 'earlier'])
    expect(await printed({ model, data: at('daily.csv') })).toMatch(/^Test /);
  await expect(printed({ model: 'now', data: at('weekly.csv') })).rejects.toThrow(
    /\(series\); set --data to the file that it was trained on, .* use `kasane predict`$/,
  );
  for (const given of [{ data: at('daily.csv') }, {}])
    await expect(printed({ model: 'now', ...given, test: at('weekly.csv') })).rejects.toThrow(
      /^--test: a series is tested on the end of the file .* --data\. `kasane predict` forecasts from other rows$/,
    );
  expect(await printed({ model: 'earlier', data: at('weekly.csv') })).toMatch(/^Test /);
});

it.each([
  [{}, 'USAGE', /was trained on csv data; give its path with --data/],
  [{ data: 'absent.csv' }, 'DATA_INVALID', /absent\.csv/],
  [{ data: 'above.csv' }, 'DATA_INVALID', /the data differs from what .* was trained with \(table\)/],
  [{ test: 'absent.csv' }, 'DATA_INVALID', /absent\.csv/],
  [{ test: 'words.csv' }, 'DATA_INVALID', /words\.csv: there is no column 'x', which the model takes/],
  [{ test: 'unlabeled.csv' }, 'DATA_INVALID', /there is no column 'y', which the model predicts/],
  [{ test: 'odd.csv' }, 'DATA_INVALID', /odd\.csv:3: the target y is 'none of it'.*\. Fix the file$/],
  [{ data: 'words.csv' }, 'DATA_INVALID', /no column 'y'/],
])('refuses %j', async (options: { data?: string; test?: string }, code, message) => {
  const given = Object.fromEntries(Object.entries(options).map(([name, file]) => [name, at(file)]));
  await expect(printed(given)).rejects.toThrow(message);
  await expect(printed(given)).rejects.toMatchObject({ code });
});
