/** When a worker is taken to be on the coordinator's Redis, and when on another. */
import { redisAddress } from '@kasane/protocol/internal/queue/redis-address';
import { proofKey } from '@kasane/protocol/internal/queue/redis-proof';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { otherRedis, RedisCheck } from '../src/serve/redis-check.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A check whose Redis has these keys, or fails. */
function check() {
  const keys = new Set<string>();
  const asked: Uint8Array[] = [];
  const heard: string[] = [];
  const state = { isAway: false };
  const unlink = async (key: string) => {
    if (state.isAway) throw new Error('Connection is closed.');
    return keys.delete(key) ? 1 : 0;
  };
  const it = new RedisCheck({
    redis: { unlink } as never,
    ask: (nonce) => asked.push(nonce),
    onSame: () => heard.push('same'),
    onOther: () => heard.push('other'),
  });
  it.ask();
  const last = () => asked.at(-1)!;
  return { it, keys, asked, heard, state, last };
}

describe('RedisCheck', () => {
  it('finds what was written, once, and removes it', async () => {
    const { it, keys, asked, heard, last } = check();
    keys.add(proofKey(last()));
    await it.written(last());
    await it.written(last());
    expect([heard, keys.size, asked.length]).toEqual([['same'], 0, 1]);
  });

  it('asks again where nothing was found, each time for another key, and gives up at the fourth', async () => {
    const { it, asked, heard, last } = check();
    for (const looks of [1, 2, 3, 4]) {
      expect(asked).toHaveLength(looks);
      await it.written(last());
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(heard).toEqual(['other']);
    expect(new Set(asked.map((nonce) => proofKey(nonce))).size).toBe(4);
  });

  it('takes a worker whose key was lost with all that Redis held', async () => {
    const { it, keys, heard, last } = check();
    for (const _ of [1, 2, 3]) {
      await it.written(last());
      await vi.advanceTimersByTimeAsync(1_000);
    }
    keys.add(proofKey(last()));
    await it.written(last());
    expect(heard).toEqual(['same']);
  });

  it('holds nothing against a worker while Redis is away, for as long as that is', async () => {
    const { it, keys, heard, state, last } = check();
    state.isAway = true;
    for (let times = 0; times < 50; times++) {
      await it.written(last());
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(heard).toEqual([]);
    state.isAway = false;
    keys.add(proofKey(last()));
    await it.written(last());
    expect(heard).toEqual(['same']);
  });

  it('counts no answer to what was not asked, or was asked before', async () => {
    const { it, heard, last, asked } = check();
    const first = last();
    for (let times = 0; times < 10; times++) await it.written(Buffer.alloc(16, times));
    for (let times = 0; times < 10; times++) await it.written(first);
    await vi.advanceTimersByTimeAsync(1_000);
    for (let times = 0; times < 10; times++) await it.written(first);
    expect([heard, asked.length]).toEqual([[], 2]);
  });

  it('says and asks nothing after its end', async () => {
    const { it, keys, asked, heard, last } = check();
    await it.written(last());
    it.close();
    await vi.advanceTimersByTimeAsync(10_000);
    keys.add(proofKey(last()));
    await it.written(last());
    expect([asked.length, heard]).toEqual([1, []]);
  });
});

describe('the place of a Redis', () => {
  it.each([
    ['redis://localhost', 'localhost:6379'],
    ['redis://:secret@10.0.0.1:6380', '10.0.0.1:6380'],
    ['rediss://user:se%40cret@redis.example:6390/0', 'redis.example:6390'],
    ['redis://user:secret@[::1]:6379/3', '[::1]:6379/3'],
  ])('%s', (url, place) => expect(redisAddress(url).place).toBe(place));

  it('names both and the cure in one line, without passwords', () => {
    const { code, message } = otherRedis('w', 'box', 'localhost:6379', 'redis://:secret@localhost:6379');
    expect(code).toBe('OTHER_REDIS');
    expect(message).toMatch(
      /^worker w on box uses a different Redis \(localhost:6379\) than the coordinator \(localhost:6379\); /,
    );
    expect(message).toMatch(/--redis.*--announce-redis/);
    expect(message).not.toMatch(/secret|\n/);
  });
});
