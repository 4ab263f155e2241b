/**
 * Large data of every format and large models, one job after the other: from its submission until its samples wait for workers nothing
 * keeps the coordinator's event loop busy for long. `test/fuzz/extremes.test.ts` does the same with requests.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, describe, expect, it } from 'vitest';
import { Victim } from './fuzz/victim-process.ts';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { type Large, largeData, largeModels } from './support/large-data.ts';

const GOES = 4;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const redis = await startRedis({ url: process.env.REDIS_URL });
cleanUp.add(() => redis.close());
const dataRoot = temporaryDirectory(cleanUp);
const stateDirectory = temporaryDirectory(cleanUp);
const victim = await Victim.start({ redisUrl: redis.url, dataRoot, stateDirectory });
cleanUp.add(() => victim.kill());
const client = new CoordinatorClient({ coordinator: victim.started.address });
cleanUp.add(() => client.close());

/** Submits a job, waits until it waits for workers, and cancels it. */
async function goThrough(job: object): Promise<void> {
  const id = await client.submit(JSON.stringify({ name: 'large', ...job }));
  for (let looks = 0; ; looks++) {
    expect(looks, 'looks at a job that does not begin').toBeLessThan(2_000);
    const { state, error, waitingFor } = await client.get(id);
    expect(error).toBe('');
    if (state === JobState.JOB_STATE_RUNNING && waitingFor) break;
    await sleep(50);
  }
  // Samples are staged.
  await sleep(300);
  await client.cancel(id);
  await sleep(100);
}

// What is loaded and compiled with the first job is of no size.
mkdirSync(join(dataRoot, 'small'));
await goThrough({
  model: { input: [784], classes: 10, layers: [{ type: 'dense', units: 10 }] },
  data: { path: smallMnist(join(dataRoot, 'small'), 200, 20) },
});

describe.each([...Object.entries(largeData), ['model', largeModels] as const])('%s', (format, all) => {
  it.each(Object.entries<Large>(all))('%s', { timeout: 300_000 }, async (what, large) => {
    const folder = join(dataRoot, `${format} ${what}`.replaceAll(/\W+/g, '-'));
    mkdirSync(folder);
    await large.write(folder);
    expect(await victim.complaintOf(GOES, () => goThrough(large.job(folder)))).toBe('');
  });
});
