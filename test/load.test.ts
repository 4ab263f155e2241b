/** A small version of `pnpm bench load`: many workers, watchers and jobs at once on one coordinator. */
import { afterAll, expect, it } from 'vitest';
import { holdLoad } from './load/hold.ts';
import { loadJob } from './load/job.ts';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('20 workers, 10 watchers and 15 jobs: nothing refused, and the bits that one worker gives', async () => {
  const job = loadJob(temporaryDirectory(cleanUp), 30, 1);
  const load = { job, processes: 1, sharedMemory: false, say: () => {} };
  const alone = await holdLoad({ ...load, workers: 1, watchers: 0, jobs: 1 });
  const [digest] = alone.digests.keys();
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  const { digests, ended, seen, complaints, earlier } = await holdLoad({
    ...load,
    workers: 20,
    watchers: 10,
    jobs: 15,
  });
  expect([...digests]).toEqual([[digest, 15]]);
  expect(ended).toBe(15);
  expect(seen.states).toBeGreaterThan(10);
  const refused = Object.keys({ ...earlier, ...complaints }).filter(
    (sentence) => !sentence.startsWith('reissuing tasks'),
  );
  expect(refused).toEqual([]);
});
