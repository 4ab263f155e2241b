/** Checkpoints and models of many parameters: the same bytes and numbers as at once, while others have their turns of the event loop. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkJob } from '@kasane/protocol/job';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { afterAll, expect, it } from 'vitest';
import { encodeCheckpoint, encodeModel, readCheckpoint } from '../src/params/checkpoint.ts';
import { writeWhole } from '../src/params/files.ts';
import { RESULT_DEFINITION } from '../src/params/result-definition.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));
/** Turns that others have at least while so many bytes are copied. */
const turnsFor = (bytes: number) => Math.floor(bytes / (4 << 20)) - 1;

const job = checkJob({
  name: 'large',
  model: {
    input: [1000],
    classes: 2,
    layers: [
      { type: 'dense', units: 4099 },
      { type: 'dense', units: 2 },
    ],
  },
  data: { path: 'data' },
});
const floats = (seed: number) => {
  const values = new Float32Array(job.model.parameterCount);
  for (let i = 0; i < values.length; i++) values[i] = Math.fround(((i * 31 + seed) % 1009) / 7);
  return values;
};
const weights = { parameters: floats(1), state: new Map([['momentum', floats(2)]]) };
const position = { step: 3, lossSum: 1, metricSum: 2, counted: 4 };

/** Turns that others have until it is done. */
async function turnsOf<T>(work: Promise<T>): Promise<{ readonly made: T; readonly turns: number }> {
  let turns = 0;
  let over = false;
  const count = () => {
    if (over) return;
    turns++;
    setImmediate(count);
  };
  setImmediate(count);
  const made = await work;
  over = true;
  return { made, turns };
}

it('is encoded and read a few megabytes a turn', async () => {
  const bytes = 8 * job.model.parameterCount;
  const encoded = await turnsOf(encodeCheckpoint(job, weights, position));
  expect(encoded.turns).toBeGreaterThanOrEqual(turnsFor(bytes));
  const { tensors } = decodeSafetensors(encoded.made);
  expect(tensors.reduce((sum, { data }) => sum + data.byteLength, 0)).toBe(bytes);

  const path = join(folder, 'checkpoint.safetensors');
  const digest = await writeWhole(path, encoded.made);
  const empty = () => new Float32Array(job.model.parameterCount);
  const into = { parameters: empty(), state: new Map([['momentum', empty()]]) };
  const read = await turnsOf(readCheckpoint(path, digest, job, into));
  expect(read.turns).toBeGreaterThanOrEqual(turnsFor(bytes));
  expect(read.made).toEqual({ ...position, definition: RESULT_DEFINITION });
  expect(Buffer.compare(Buffer.from(into.parameters.buffer), Buffer.from(weights.parameters.buffer))).toBe(0);
  expect(
    Buffer.compare(
      Buffer.from(into.state.get('momentum')!.buffer),
      Buffer.from(weights.state.get('momentum')!.buffer),
    ),
  ).toBe(0);
});

it('makes a model of the same bytes as at once', async () => {
  const { made, turns } = await turnsOf(encodeModel(job, {}, weights.parameters, 3));
  expect(turns).toBeGreaterThanOrEqual(turnsFor(4 * job.model.parameterCount));
  const { spec, model, objective } = job;
  const { path: _, test: __, route: ___, ...data } = spec.data as Record<string, unknown>;
  const about = { job: spec.name, step: 3, seed: spec.training.seed, objective, preparation: {}, data };
  const atOnce = encodeModelFile({ model, parameters: weights.parameters, about });
  expect(Buffer.compare(made, atOnce)).toBe(0);
});
