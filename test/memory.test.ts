/** Jobs leave nothing behind in the processes that trained them: each worker and the coordinator may run for months. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const JOBS = 8;
/** V8 reserves about so much address space for a WebAssembly memory, whose pages come as they are used. */
const RESERVED_GIB = 8;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Of a process, from which memories that nobody uses any more can be counted. */
function addressSpaceGiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmSize:\s+(\d+)/.exec(status)![1]) / 2 ** 20;
}

it.skipIf(process.platform !== 'linux')(
  'a job that has ended gives its memory back',
  async () => {
    const cluster = new TestCluster(cleanUp);
    await cluster.start();
    const worker = await cluster.worker(1);
    const data = { path: smallMnist(temporaryDirectory(cleanUp), 400, 100) };
    const training = { epochs: 1, batch: 50, shards: 2 };
    const job = { name: 'short', model: { preset: 'mnist-mlp' }, data, training };
    const sizes: number[] = [];
    for (let count = 0; count < JOBS; count++) {
      expect((await cluster.run(job)).error).toBe('');
      // What follows an end waits half a second for company.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      sizes.push(addressSpaceGiB(worker.pid!));
    }
    // One too many may be there at any moment, but not one a job.
    expect(sizes.at(-1)! - sizes[1]!, `GiB after each job: ${sizes}`).toBeLessThan(3 * RESERVED_GIB);
  },
  120_000,
);
