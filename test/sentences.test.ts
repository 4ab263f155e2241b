/** Every sentence that the coordinator has for why a job waits is known to the page in Japanese. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PatientDisk, whyNotWritten } from '@kasane/coordinator/jobs/disk';
import {
  decide,
  defaultDecideOptions,
  type ShardState,
  type StepState,
} from '@kasane/coordinator/steps/decide';
import { type Sharer, shareOut } from '@kasane/coordinator/steps/share-out';
import { saidInJapanese } from '@kasane/dashboard/page/sentences-ja';
import { expect, it } from 'vitest';
import { checkout } from './support/image.ts';

/** Names and numbers stay, and so does what is typed. */
const words = (text: string) =>
  text.replace(/`[^`]*`|\bid-\w+\b|ENOSPC[^）]*|\bRedis\b/g, '').match(/[a-z]{2,}/gi) ?? [];

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
      refusals: [],
      typicalMs: 5,
      shards,
      heardAt,
    },
  });
  const cases: [number, StepState][] = [
    [1, state([shard()], heard())],
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
  expectJapanese([whyNotWritten('the model', locked, '12:03:05'), 'Redis does not answer since 12:03:05']);
  const disk: PatientDisk = new PatientDisk({ warn: () => {} }, () => disk.stop(new Error('over')));
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  await expect(disk.written('the model', () => Promise.reject(full))).rejects.toThrow('over');
  expectJapanese([disk.why]);
});

it('of the line', () =>
  expectJapanese([
    'it is paused: `kasane resume id-a`',
    'its data is being read',
    '4 jobs that come first: id-a, id-b',
  ]));

it('and why a worker has gone, as the coordinator says it', () => {
  const source = readFileSync(join(checkout, 'packages/coordinator/src/serve/training.ts'), 'utf8');
  const said = [...source.matchAll(/\.close\((['`])(.+?)\1\)/g)].map(([, , text]) =>
    text!.replace(/\$\{.*?\}/g, '7'),
  );
  expect(said.length).toBeGreaterThan(4);
  expectJapanese([...said, 'the data link broke']);
});
