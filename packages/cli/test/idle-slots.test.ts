/** Whoever starts more compute threads than a step has shards is told so. */
import { idleSlots } from '@kasane/cli/internal/commands/train/train';
import { expect, it } from 'vitest';

it.each([
  [1, 1, 1, ''],
  [2, 2, 4, ''],
  [2, 4, 6, /^Note: 2 of 8 slots will be idle, since a step of this job has 6 shards/],
  [3, 1, 1, /^Note: 2 of 3 slots will be idle, since a step of this job has 1 shard;/],
])('%d workers of %d slots for %d shards', (workers, slots, shards, said) => {
  expect(idleSlots({ workers, slots }, shards)).toMatch(said === '' ? /^$/ : said);
});
