/** Every sentence that the coordinator has for why a job waits is known to the page in Japanese. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  decide,
  defaultDecideOptions,
  type ShardState,
  type StepState,
} from '@kasane/coordinator/steps/decide';
import { type Sharer, shareOut } from '@kasane/coordinator/steps/share-out';
import { isDiskError, PatientDisk, whyNotWritten } from '@kasane/coordinator/store/disk';
import { StatePlace } from '@kasane/coordinator/store/state-place';
import { saidInJapanese } from '@kasane/dashboard/page/sentences-ja';
import { systemCodes } from '@kasane/tensor/node/system-errors';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';

/** Names and numbers stay, and so does what is typed. */
const words = (text: string) => text.replace(/`[^`]*`|\bid-\w+\b|\bRedis\b/g, '').match(/[a-z]{2,}/gi) ?? [];

function expectJapanese(sentences: readonly string[]): void {
  for (const sentence of sentences) {
    const said = saidInJapanese(sentence);
    expect(said, sentence).toMatch(/[ぁ-んァ-ン]/);
    expect(words(said), said).toEqual([]);
  }
}

const shard = (rest: Partial<ShardState> = {}): ShardState => ({
  ...{ shard: 3, done: false, attempts: 1, issuedAt: 0, holders: [], lost: false, failures: [] },
  ...rest,
});
const held = { holders: [{ worker: 'id-a', attempt: 1, claimedAt: 0 }] };
const heard = (...workers: string[]) => new Map(workers.map((id) => [id, 0]));

it('of a step', () => {
  const state = (shards: ShardState[], heardAt = heard('id-a', 'id-b')): StepState => ({
    ...{
      startedAt: 0,
      progressAt: 0,
      leftAt: 0,
      able: ['id-a', 'id-b'],
      proven: new Set(),
      idle: new Set(),
      wasComputed: true,
      refusals: [],
      typicalMs: 5,
      shards,
      heardAt,
    },
  });
  const cases: [number, StepState][] = [
    [1, state([shard()], heard())],
    [1, { ...state([shard()]), able: [], refusals: [{ worker: 'id-a', why: 'id-b' }] }],
    [1, state([shard(), shard({ shard: 4 })])],
    [1, state([shard(held)])],
    [1, state([shard({ lost: true })])],
    [1e6, state([shard()])],
    [1e6, state([shard(held)])],
  ];
  const sentences = cases.map(([now, at]) => `step 8: ${decide(now, at, defaultDecideOptions).why}`);
  expect(new Set(sentences).size).toBe(cases.length);
  expectJapanese(sentences);
});

it('of a turn, and of a full disk', async () => {
  const sharer = (id: string, priority: number, state: Sharer['state']): Sharer => ({
    ...{ id, priority, state, shards: 4, usedMs: 0 },
  });
  for (const priority of [0, 5]) {
    const { why } = shareOut([sharer('id-a', priority, 'computing'), sharer('id-b', 0, 'waiting')], 2);
    expectJapanese([...why.values()]);
  }
  const locked = Object.assign(new Error('database is locked'), { errcode: 5 });
  expectJapanese([whyNotWritten('the model', locked, '12:03:05'), 'Redis has not answered since 12:03:05']);
  const disk: PatientDisk = new PatientDisk({ warn: () => {} }, () => disk.stop(new Error('over')));
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  await expect(disk.written('the model', () => Promise.reject(full))).rejects.toThrow('over');
  expectJapanese([disk.why]);
});

it('of whatever else a disk may say', () => {
  const said = systemCodes
    .map((code) => Object.assign(new Error(`${code}: words of the system, write`), { code }))
    .filter(isDiskError)
    .map((error) => whyNotWritten('the model', error, '12:03:05'));
  expect(said.length).toBeGreaterThan(12);
  for (const one of said) expect(one).not.toMatch(/\bE[A-Z]{3,}\b|words of the system/);
  const sqlite = [3, 8, 10, 13, 14].map((errcode) => Object.assign(new Error('of SQLite'), { errcode }));
  for (const error of sqlite) expect(isDiskError(error)).toBe(true);
  expectJapanese([...said, ...sqlite.map((error) => whyNotWritten('the model', error, '12:03:05'))]);
});

it('of a state directory that is away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  try {
    const [state, database] = [join(folder, 'state'), join(folder, 'state', 'kasane.sqlite')];
    mkdirSync(state);
    writeFileSync(database, '');
    const place = StatePlace.of(database);
    const why = async () => {
      const error = await place.require().catch((thrown: unknown) => thrown);
      expect(() => place.requireSync()).toThrow((error as Error).message);
      expect(isDiskError(error)).toBe(true);
      return whyNotWritten('the model', error, '12:03:05');
    };
    const said: string[] = [];
    renameSync(database, `${database}.away`);
    said.push(await why());
    writeFileSync(database, '');
    said.push(await why());
    renameSync(state, `${state}.away`);
    said.push(await why());
    mkdirSync(state);
    said.push(await why());
    rmdirSync(state);
    // A loop of links cannot be looked into, as a folder without permission cannot, whoever runs this.
    symlinkSync('state', state);
    said.push(await why());
    unlinkSync(state);
    renameSync(`${state}.away`, state);
    renameSync(`${database}.away`, database);
    await place.require();
    place.requireSync();
    expect(new Set(said).size).toBe(5);
    expectJapanese(said.map((one) => one.replaceAll(folder, '')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('of the line', () =>
  expectJapanese([
    'paused; resume it with `kasane resume id-a`',
    'reading its data',
    '4 jobs are ahead of it: id-a, id-b',
  ]));

it('and why a worker has gone, as the coordinator says it', () => {
  const source = readFileSync(join(checkout, 'packages/coordinator/src/serve/training.ts'), 'utf8');
  const said = [...source.matchAll(/\.close\((['`])(.+?)\1\)/g)].map(([, , text]) =>
    text!.replace(/\$\{.*?\}/g, '7'),
  );
  expect(said.length).toBeGreaterThan(4);
  expectJapanese([...said, 'data link lost']);
});
