import { checkJob } from '@kasane/protocol/job';
import { expect, it } from 'vitest';
import { startingWeights } from '../src/submit/starting-weights.ts';

it('names a file that may not be read once', async () => {
  const job = checkJob({ name: 'a', model: { preset: 'mnist-mlp' }, init: '/dev/zero' });
  await expect(startingWeights(job, '', { roots: ['/data'], hosts: [] })).rejects.toThrow(
    /^init: \/dev\/zero: only files in \/data may be read/,
  );
});
