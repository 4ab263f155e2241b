import { checkJob } from '@kasane/protocol/job';
import { expect, it } from 'vitest';
import { isDrawnSoon, startingWeights } from '../src/submit/starting-weights.ts';

it('names a file that may not be read once', async () => {
  const job = checkJob({ name: 'a', model: { preset: 'mnist-mlp' }, init: '/dev/zero' });
  await expect(startingWeights(job, '', { roots: ['/data'], hosts: [] })).rejects.toThrow(
    /^init: \/dev\/zero: only files in \/data may be read/,
  );
});

it('draws weights that take long apart from the event loop, however few they are', () => {
  const modelOf = (...layers: object[]) =>
    checkJob({
      name: 'a',
      model: { input: [720, 4], output: [720], layers },
      objective: { type: 'regression' },
    }).model;
  const flat = { type: 'flatten' };
  const out = { type: 'dense', units: 720 };
  expect(isDrawnSoon(modelOf(flat, { type: 'dense', units: 100 }, out))).toBe(true);
  expect(isDrawnSoon(modelOf({ type: 'rnn', units: 32, returns: 'last' }, out))).toBe(true);
  // 720 x 720, orthogonal: it took seconds.
  expect(isDrawnSoon(modelOf({ type: 'rnn', units: 720, returns: 'last' }))).toBe(false);
});
