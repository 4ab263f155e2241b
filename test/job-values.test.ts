/**
 * Extreme values in every number of a job file, found in its schema, so that a new one is covered: each is refused on submit by its
 * name, or the job trains, or fails because its numbers overflow. Nothing hangs, and the coordinator and its worker live.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { jobJsonSchema } from '@kasane/protocol/job';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp, { limits: { standstillSeconds: 60 } });
let base: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  await cluster.start();
  await cluster.worker(1);
  const path = join(temporaryDirectory(cleanUp), 't.csv');
  const rows = Array.from({ length: 40 }, (_, i) => `${i},${(i * 7) % 11},${i % 2 ? 'yes' : 'no'}`);
  writeFileSync(path, `a,b,class\n${rows.join('\n')}\n`);
  base = {
    name: 'values',
    model: {
      input: [2],
      classes: 2,
      layers: [
        { type: 'dense', units: 4 },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'dense', units: 2 },
      ],
    },
    data: { format: 'csv', path, target: 'class' },
    objective: { type: 'classification' },
    training: {
      epochs: 1,
      batch: 16,
      shards: 2,
      optimizer: { type: 'adam' },
      schedule: { type: 'one-cycle' },
      ema: {},
      stopEarly: {},
    },
  };
});
afterAll(() => cleanUp.run());

interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** In a path: every number of a list. */
const EACH = '[]';

/** Paths of all numbers below a part of the schema; of several branches that which the base job takes. */
function numbersOf(schema: Schema, value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (isNumber(schema)) return [path];
  if (schema.type === 'array') return isNumber(schema.items) ? [[...path, EACH]] : [];
  // Beside properties, branches only say which of them are required.
  const branches = schema.properties ? undefined : (schema.anyOf ?? schema.oneOf);
  if (branches)
    return branches
      .filter((branch) => fits(branch, value))
      .flatMap((branch) => numbersOf(branch, value, path));
  const given = (value ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
    numbersOf(inner, given[key], [...path, key]),
  );
}

const isNumber = (schema: Schema | undefined) => schema?.type === 'number' || schema?.type === 'integer';

function fits({ properties }: Schema, value: unknown): boolean {
  const given = (value ?? {}) as Readonly<Record<string, unknown>>;
  return ['type', 'format'].every((key) => {
    const rule = properties?.[key];
    if (rule === undefined || given[key] === undefined) return true;
    return rule.const === given[key] || rule.enum?.includes(given[key]) === true;
  });
}

function changed(path: readonly string[], value: unknown): object {
  if (path.at(-1) === EACH) return changed(path.slice(0, -1), [value, value]);
  // What only local steps have is refused without them.
  const isLocal = path[0] === 'exchange' && path[1] !== 'every';
  const job = structuredClone(isLocal ? { ...base, exchange: { every: 2 } } : base) as Record<
    string,
    unknown
  >;
  let at = job;
  for (const key of path.slice(0, -1)) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
  return job;
}

const extremes = [
  0,
  -1,
  1,
  2,
  3,
  0.5,
  1e-320,
  1e-30,
  1e6,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e38,
  1e308,
  -1e308,
  null,
  '1',
];

it('refused by name, or it trains', async () => {
  const schema = jobJsonSchema() as Schema;
  const paths = numbersOf(schema, base).filter(([section]) => section !== 'model' && section !== 'search');
  expect(paths.length).toBeGreaterThan(20);
  expect(paths).toContainEqual(['objective', 'classWeights', EACH]);
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const once = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.constantFrom(...extremes), async (path, value) => {
      const name = `${path.join('.')}: ${value}`;
      // Many epochs of a job that runs are no other case than few.
      if (once.has(name) || (path.at(-1) === 'epochs' && typeof value === 'number' && value > 2)) return;
      once.add(name);
      let id: string;
      try {
        id = await client.submit(JSON.stringify(changed(path, value)));
      } catch (error) {
        expect(error, name).toMatchObject({
          code: expect.stringMatching(/^(JOB_INVALID|LIMIT|DATA_INVALID)$/),
        });
        // What is wrong with the data then is said of the file.
        const key = path.findLast((part) => part !== EACH)!;
        const named = path[0] === 'data' ? new RegExp(`${key}|t\\.csv`) : new RegExp(key);
        expect((error as Error).message, name).toMatch(named);
        return;
      }
      for await (const _ of client.watch(id));
      const { state, error } = await client.get(id);
      if (state === JobState.JOB_STATE_SUCCEEDED) return;
      expect(error, name).toMatch(/is not finite|the loss is/);
    }),
    { numRuns: 300, interruptAfterTimeLimit: 45_000 },
  );
  // Both live, and train as before.
  expect(await cluster.run(base)).toMatchObject({ error: '' });
});
