/** Whatever workers say, field by field: the coordinator lives, and a job of honest workers ends with the weights of a quiet run. */
import type { WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import {
  type FieldRule,
  type PartRules,
  workerMessages,
} from '@kasane/protocol/internal/grpc/worker-messages';
import { PROTOCOL_VERSION } from '@kasane/protocol/limits';
import { CoordinatorStream } from '@kasane/worker/internal/connection/stream';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { sayings } from './fuzz/requests.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { RedisWriter } from './support/redis-proof.ts';

type Said = NonNullable<WorkerMessage['message']>;
type Rules = Readonly<Record<string, FieldRule | PartRules>>;

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let job: object;
let writer: RedisWriter;
let isThere: (worker: string) => Promise<boolean>;

beforeAll(async () => {
  await cluster.start();
  writer = new RedisWriter(cluster.redisUrl);
  const { client } = cluster;
  cleanUp.add(() => client.close());
  cleanUp.add(() => writer.close());
  isThere = async (worker) => (await client.status()).workers.some(({ id }) => id === worker);
  const path = smallMnist(temporaryDirectory(cleanUp), 640, 100);
  const training = { epochs: 8, batch: 64, shards: 2 };
  job = { name: 'honest', model: { preset: 'mnist-mlp' }, data: { path }, training };
  await cluster.worker(1);
});
afterAll(() => cleanUp.run());

const hello = (worker: string) => ({
  ...{ worker, host: 'here', slots: 1, backend: 'none', protocol: PROTOCOL_VERSION },
});

/** Connects, says what it is given once it is welcome, and resolves with why it was sent away; undefined: it was not. */
function lie(said: Said, first: Said[] = []): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const name = `liar-${Math.random().toString(36).slice(2)}`;
  const stream: CoordinatorStream = new CoordinatorStream({
    coordinator: cluster.address,
    hello: said.$case === 'hello' ? said.value : hello(name),
    heartbeat: () => ({ busy: 0, waiting: 0 }),
    onMessage: (message) => {
      void writer.answer(message, async (answer) => {
        stream.send(answer);
        await vi.waitFor(async () => expect(await isThere(name)).toBe(true), { interval: 2 }).catch(() => {});
        if (said.$case !== 'hello') for (const one of [...first, said]) stream.send(one);
        setTimeout(() => resolve(undefined), 30);
      });
    },
    onFrame: () => {},
    onBroken: (why) => resolve(why),
    onRefused: (error) => resolve(`${error.code}: ${error.message}`),
  });
  return promise.finally(() => stream.close());
}

/** What travels as a whole number cannot be anything else. */
const numbers = [0, 1, 2 ** 31, 2 ** 32 - 1];
const enums = [-1, 0, 1, 2, 7, 2 ** 31 - 1];
const floats = [...numbers, Number.NaN, Infinity, -Infinity, -1, 3e38];
const texts = ['', 'x'.repeat(100_000), '\u001b[31m', '../..', '__proto__'];

/** Extreme values that can travel in a field. */
function valuesOf(name: string, { allows }: FieldRule): readonly unknown[] {
  if (allows('x')) return texts;
  if (allows([])) return [[], [0], [2 ** 32 - 1, 1], Array(100_000).fill(7)];
  if (allows(true)) return [true, false];
  if (allows(new Uint8Array(16))) return [1, 16, 65, 1e5].map((length) => new Uint8Array(length));
  if (/Sum$|Ms$|^sentAt$/.test(name)) return floats;
  return name === 'kind' || name === 'reason' ? enums : numbers;
}

/** One message with an extreme value in one of its fields. */
function extremes(honest: Said): fc.Arbitrary<Said> {
  const of = (rules: Rules, at: (value: unknown, name: string) => object): fc.Arbitrary<object>[] =>
    Object.entries(rules).map(([name, rule]) =>
      'part' in rule
        ? fc.oneof(
            ...of(rule.part, (value, inner) => {
              const part = (honest.value as Record<string, object>)[name];
              return at({ ...part, [inner]: value }, name);
            }),
          )
        : fc.constantFrom<unknown>(...valuesOf(name, rule)).map((value) => at(value, name)),
    );
  const values = of(workerMessages[honest.$case], (value, name) => ({ ...honest.value, [name]: value }));
  return fc.oneof(fc.constant(honest.value), ...values).map((value) => ({ ...honest, value }) as Said);
}

it('a worker without slots is refused, and the job it would have joined goes on', async () => {
  const running = cluster.run(job);
  const refused = await lie({ $case: 'hello', value: { ...hello('none'), slots: 0 } });
  expect(refused).toBe('PROTOCOL: hello.slots is 0; expected a whole number from 1 to 1024');
  expect(await running).toMatchObject({ error: '' });
});

it('extreme values in every field of every message change nothing', async () => {
  const quiet = await cluster.run(job);
  expect(quiet.error).toBe('');
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify(job));
  const honest: Said[] = [
    { $case: 'hello', value: hello('liar') },
    ...sayings(id),
    { $case: 'jobRefused', value: { job: id, why: 'it is too large' } },
  ];
  const ended = (async () => {
    for await (const _ of client.watch(id));
    return client.get(id);
  })();
  const [claim] = sayings(id).filter(({ $case }) => $case === 'claim');
  await fc.assert(
    fc.asyncProperty(fc.oneof(...honest.map(extremes)), async (said) => {
      const before = said.$case === 'result' || said.$case === 'failure' ? [claim!] : [];
      await lie(said, before);
    }),
    { numRuns: 100, interruptAfterTimeLimit: 40_000 },
  );
  expect(await ended).toMatchObject({ error: '', digest: quiet.digest });
  // It answers, and takes a job still.
  expect((await cluster.run(job)).digest).toBe(quiet.digest);
});
