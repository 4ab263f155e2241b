/** Data from a program, as examples/own-data makes it: packed by the script as it stands, trained on by whoever is there, with names of its own. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { evaluate } from '@kasane/cli/internal/commands/eval/eval';
import { parseJobFile } from '@kasane/protocol/job-file';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const folder = join(temporaryDirectory(cleanUp), 'waveforms');
const example = join(checkout, 'examples/own-data');

beforeAll(() => cluster.start());
afterAll(() => cleanUp.run());

it('the script packs the same bytes everywhere', { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(example, 'waveforms.ts'), folder]);
  expect(stdout).toContain(
    `${folder}: 2000 sounds for training, 400 for testing, SHA-256 of the index eb38bd7b6df78c69cdd9548233d80f4e73a6db879b20cc69fe55b0f4160f261a`,
  );
});

it('its job learns, to the same bits with one worker and with two', { timeout: 120_000 }, async () => {
  const { spec: job } = parseJobFile(readFileSync(join(example, 'waveforms.yaml'), 'utf8'), 'waveforms.yaml');
  const short = {
    ...job,
    data: { format: 'packed', path: folder },
    training: { ...job.training, epochs: 3 },
  };
  await cluster.worker();
  const alone = await cluster.run(short);
  expect(alone.error).toBe('');
  await cluster.worker();
  expect((await cluster.run(short)).digest).toBe(alone.digest);
  expect(alone.history.at(-1)!.testLoss).toBeLessThan(alone.history[0]!.testLoss);

  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  await evaluate(alone.model, { coordinator: '127.0.0.1:1', data: folder, json: true });
  const record = JSON.parse(String(out.mock.calls[0]![0])) as { classes: { name: string }[]; value: number };
  out.mockRestore();
  expect(record.classes.map(({ name }) => name)).toEqual(['sine', 'square', 'triangle', 'sawtooth']);
  expect(record.value).toBeCloseTo(alone.history.at(-1)!.testMetric, 6);
});
