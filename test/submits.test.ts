/** Many jobs of one caller: others have their turns, what is too much is refused, and nothing is parsed for nobody. */
import type { Worker } from 'node:worker_threads';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { TokenStore } from '@kasane/coordinator/internal/store/tokens';
import { JobsService } from '@kasane/protocol/gen/kasane/v1/jobs';
import { tokenMetadata } from '@kasane/protocol/internal/security/token';
import { CHECKING_PER_CALLER, PARSING_PER_CALLER } from '@kasane/protocol/limits';
import { describePreset } from '@kasane/tensor/models/presets';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** It takes long to parse, and its model and data are never made: a key is wrong. */
const large = JSON.stringify({ model: describePreset('resnet-18', {}), wrong: 1 }, null, 2);
let coordinator: Coordinator;
let store: TokenStore;

beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  const stateDirectory = temporaryDirectory(cleanUp);
  store = new TokenStore(stateDirectory);
  cleanUp.add(() => store.close());
  // With one, others are asked for theirs.
  store.create({ name: 'any', scopes: ['read'] });
  const options = { host: '127.0.0.1', port: 0, redisUrl: redis.url, stateDirectory };
  coordinator = await startCoordinator({ ...options, log: pino({ level: 'silent' }) });
  cleanUp.add(() => coordinator.close());
});

/** Somebody with a token of their own. */
function caller(name: string) {
  const { token } = store.create({ name, scopes: ['submit'] });
  const client = new Client(coordinator.address, credentials.createInsecure());
  cleanUp.add(() => client.close());
  const { path, requestSerialize, responseDeserialize } = JobsService.submit;
  return (jobFile: string, answered: (error: ServiceError | null) => void) =>
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { jobFile, priority: 0, source: undefined },
      tokenMetadata(token),
      {},
      (error) => answered(error),
    );
}

it('another caller is answered before the hundredth file of the first, whose too many are refused', async () => {
  const [first, second] = [caller('many'), caller('one')];
  const answers: string[] = [];
  const parsed = /wrong/;
  for (let i = 0; i < 200; i++)
    first(large, (error) => answers.push(parsed.test(error!.details) ? 'first' : error!.details));
  second(large, (error) => answers.push(parsed.test(error!.details) ? 'second' : error!.details));
  await vi.waitFor(() => expect(answers).toHaveLength(201), { timeout: 120_000, interval: 100 });
  const read = answers.filter((answer) => answer === 'first' || answer === 'second');
  expect(read.length).toBeGreaterThan(PARSING_PER_CALLER);
  expect(read.indexOf('second')).toBeGreaterThanOrEqual(0);
  expect(read.indexOf('second')).toBeLessThan(99);
  const others = answers.filter((answer) => answer !== 'first' && answer !== 'second');
  expect([...new Set(others)]).toEqual([
    `${PARSING_PER_CALLER} job files of this caller are waiting, which is the limit: try again later`,
  ]);
});

it('files of a client that is gone leave their places at once', async () => {
  const ask = caller('gone');
  const calls = Array.from({ length: PARSING_PER_CALLER }, () => ask(large, () => {}));
  const answers: string[] = [];
  const probe = () =>
    new Promise<void>((resolve) =>
      ask(large, (error) => {
        answers.push(error!.details);
        resolve();
      }),
    );
  for (const call of calls) call.cancel();
  for (let i = 0; i < 3; i++) await probe();
  expect(answers.filter((details) => /try again/.test(details))).toEqual([]);
});

it('the data of hundreds of jobs is read a few at a time, and what is too much is refused', async () => {
  const path = smallMnist(temporaryDirectory(cleanUp), 64, 32);
  const file = JSON.stringify({
    name: 'many',
    model: { preset: 'mnist-mlp' },
    data: { path },
    training: { epochs: 1, batch: 32 },
  });
  let [threads, most] = [0, 0];
  const count = (thread: Worker) => {
    most = Math.max(most, ++threads);
    thread.once('exit', () => threads--);
  };
  process.on('worker', count);
  cleanUp.add(() => void process.off('worker', count));
  const ask = caller('data');
  const answers: string[] = [];
  const sent = CHECKING_PER_CALLER + 20;
  for (let i = 0; i < sent; i++) ask(file, (error) => answers.push(error?.details ?? 'queued'));
  await vi.waitFor(() => expect(answers).toHaveLength(sent), { timeout: 120_000, interval: 100 });
  // Each may take one for its data, and another for its memory.
  expect(most).toBeLessThan(8);
  const refused = answers.filter((answer) => answer !== 'queued');
  expect([...new Set(refused)]).toEqual([
    `${CHECKING_PER_CALLER} jobs of this caller are waiting, which is the limit: try again later`,
  ]);
  expect(refused.length).toBeLessThanOrEqual(20);
});
