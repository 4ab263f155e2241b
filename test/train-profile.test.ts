/** `kasane train --profile`: what the trace of a whole cluster has, and what the command says of it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const run = promisify(execFile);
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('a profile has kernels, layers, queue and network of each worker, and names the most expensive layers', async () => {
  const folder = temporaryDirectory(cleanUp);
  const profile = join(folder, 'trace.json');
  const options = [
    '--epochs',
    '1',
    '--batch',
    '1000',
    '--workers',
    '2',
    '--out',
    join(folder, 'model.safetensors'),
  ];
  const { stderr } = await run(process.execPath, [main, 'train', ...options, '--profile', profile]);
  expect(stderr).toMatch(/LAYER +KERNELS +FORWARD +BACKWARD\ndense1 +\d/);
  interface Event {
    readonly pid: number;
    readonly name: string;
    readonly cat?: string;
    readonly ph: string;
    readonly args?: { readonly layer?: string; readonly step?: number };
  }
  const { traceEvents } = JSON.parse(readFileSync(profile, 'utf8')) as { traceEvents: Event[] };
  const workers = new Set(traceEvents.map(({ pid }) => pid));
  expect(workers.size).toBe(2);
  for (const worker of workers) {
    const own = traceEvents.filter(({ pid }) => pid === worker);
    const kinds = new Set(own.map(({ cat }) => cat).filter((cat) => cat !== undefined));
    expect([...kinds].sort()).toEqual(['compute', 'kernel', 'layer', 'network', 'queue']);
    const layers = new Set(own.filter(({ cat }) => cat === 'layer').map(({ args }) => args?.layer));
    expect(layers).toEqual(new Set(['', 'dense1', 'relu1', 'dropout1', 'dense2', 'relu2', 'dense3']));
  }
  // Every step was computed, and shown, by somebody.
  const steps = traceEvents
    .filter(({ cat, ph }) => cat === 'compute' && ph === 'b')
    .map(({ args }) => args!.step!);
  expect(Math.max(...steps)).toBeGreaterThanOrEqual(59);
});
