import type { ConnectResponse } from '@kasane/protocol/gen/kasane/v1/training';
import { expect, it } from 'vitest';
import { Shares } from '../src/run/shares.ts';
import type { ConnectedWorker } from '../src/workers.ts';

/** Workers by slots, and what each was last told to hold. */
function sharing(slots: Readonly<Record<string, number>>, shards = 8) {
  const told: Record<string, number> = {};
  const workers = Object.entries(slots).map(
    ([id, slots]) =>
      ({
        ...{ id, slots, draining: false },
        send: (message: NonNullable<ConnectResponse['message']>) => {
          if (message.$case === 'share') told[id] = message.value.tasks;
        },
      }) as ConnectedWorker,
  );
  const shares = new Shares('j', shards, { able: () => workers });
  shares.tell();
  return { shares, told };
}

it('each has its part by its slots; one that was waited for in vain has a single task until it answers', () => {
  const { shares, told } = sharing({ a: 1, b: 1, idle: 6 });
  expect(told).toEqual({ a: 1, b: 1, idle: 6 });
  shares.waitedFor(['idle']);
  expect(told).toEqual({ a: 4, b: 4, idle: 1 });
  shares.answered('a');
  expect(told).toEqual({ a: 4, b: 4, idle: 1 });
  shares.answered('idle');
  expect(told).toEqual({ a: 1, b: 1, idle: 6 });
});

it('where all were waited for in vain, each has its part', () => {
  const { shares, told } = sharing({ a: 1, b: 3 });
  shares.waitedFor(['a', 'b']);
  expect(told).toEqual({ a: 2, b: 6 });
});
