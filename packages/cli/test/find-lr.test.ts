/** `kasane find-lr`: what losses say, and that they are the same for any workers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../../../test/support/cluster.ts';
import { rangeTest } from '../src/commands/find-lr/range-test.ts';
import { kasane } from './support/kasane.ts';

const STEPS = 101;
const rates = Array.from({ length: STEPS }, (_, index) => 1e-7 * 10 ** ((8 * index) / (STEPS - 1)));
/** Losses as a function of the power of ten of the learning rate. */
const tested = (loss: (decade: number, index: number) => number) =>
  rangeTest(
    rates.map((learningRate, i) => ({ step: i + 1, learningRate, loss: loss(Math.log10(learningRate), i) })),
  );
/** Falls from 2.3 to 0.3, fastest at 1e-3, and rises steeply beyond 1e-1. */
const usual = (decade: number) => 0.3 + 2 / (1 + Math.exp(3 * (decade + 3))) + Math.exp(8 * (decade + 0.8));

it('finds the steepest descent, the minimum, and the divergence', () => {
  const { steepest, minimum, suggestion, diverged, points } = tested(usual);
  expect(Math.log10(steepest!)).toBeCloseTo(-3, 0);
  expect(Math.log10(minimum!)).toBeGreaterThan(-2);
  expect(Math.log10(minimum!)).toBeLessThan(-0.8);
  expect(suggestion).toBe(Number((minimum! / 10).toPrecision(2)));
  expect(diverged).toBe(true);
  expect(points.length).toBeLessThan(STEPS);
});

it('finds about the same with noise, and in losses that are moved or scaled', () => {
  const noise = (index: number) => 0.1 * Math.sin(12.9898 * index * index);
  const { steepest } = tested((decade, index) => usual(decade) + noise(index));
  expect(Math.abs(Math.log10(steepest!) + 3)).toBeLessThan(0.7);
  for (const form of [(loss: number) => 100 * loss, (loss: number) => loss - 5])
    expect(tested((decade) => form(usual(decade))).steepest).toBe(tested(usual).steepest);
});

it('takes no noise for divergence where losses are below 0', () => {
  const noise = (index: number) => 0.2 * Math.sin(12.9898 * index * index);
  for (const moved of [2.31, 2.5, 5, 50]) {
    const { steepest, points } = tested((decade, index) => usual(decade) + noise(index) - moved);
    expect(points.length, `${moved}`).toBeGreaterThan(70);
    expect(Math.abs(Math.log10(steepest!) + 3), `${moved}`).toBeLessThan(1);
  }
});

it('suggests nothing where the loss does not fall', () => {
  const flat = { suggestion: undefined, steepest: undefined, minimum: undefined };
  expect(tested(() => 2.3)).toMatchObject({ ...flat, diverged: false });
  expect(tested((decade) => 2.3 + Math.exp(decade + 3))).toMatchObject({ ...flat, diverged: true });
  expect(rangeTest([])).toMatchObject({ ...flat, points: [] });
});

it('ends where a loss is not finite', () => {
  const { points, diverged } = tested((decade, index) => (index > 60 ? Number.NaN : usual(decade)));
  expect({ length: points.length, diverged }).toEqual({ length: 61, diverged: true });
});

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('trains with a rising learning rate, with the same losses for any workers', {
  timeout: 240_000,
}, async () => {
  const cwd = temporaryDirectory(cleanUp);
  const data = smallMnist(temporaryDirectory(cleanUp), 500, 100);
  // What is about the end of a training, or is far from its usual values, has no part in it.
  const more = 'stopEarly: { patience: 1 }, schedule: { type: cosine }, ema: {}';
  writeFileSync(
    join(cwd, 'job.yaml'),
    `name: small\nmodel: { preset: mnist-mlp }\ndata: { path: ${data}, format: idx }\ntraining: { epochs: 1, batch: 50, shards: 2, ${more} }\n`,
  );
  const run = (...args: readonly string[]) => kasane(['find-lr', ...args], { cwd, limitMs: 120_000 });
  const range = ['job.yaml', '--from', '1e-4', '--to', '1', '--steps', '25'];
  const one = await run(...range, '--workers', '1', '--json');
  const two = await run(...range, '--workers', '2', '--json');
  expect(one).toMatchObject({ code: 0, stdout: two.stdout });
  const { points, suggestion, ...about } = JSON.parse(one.stdout);
  expect(about).toMatchObject({ name: 'small', steps: 25, batch: 50, seed: 1, error: null });
  expect(points[0]).toMatchObject({ step: 1, learningRate: 1e-4 });
  expect(suggestion).toBeGreaterThan(1e-4);
  expect(suggestion).toBeLessThan(0.1);
  const people = await run(...range);
  expect(people.stdout).toContain(`  training:\n    learningRate: ${suggestion}\n`);
  expect(people.stdout).toMatch(/^ +0\.0001 +learning rate \(s: steepest, m: minimum\)/m);
});

it.each([
  [['job', '--from', '1', '--to', '0.1'], 2, '--from 1: expected less than --to'],
  [['nowhere.yaml'], 66, 'nowhere.yaml: file not found'],
  [['job.yaml', '--steps', '5'], 2, 'Expected a whole number from 20 to 1000'],
])('kasane find-lr %s is refused', { timeout: 60_000 }, async (args, code, message) => {
  const { stderr, ...ended } = await kasane(['find-lr', ...args]);
  expect(ended).toEqual({ code, stdout: '' });
  expect(stderr).toContain(message);
});
