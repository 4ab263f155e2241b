import { Prefetch } from '@kasane/worker/internal/job/prefetch';
import { describe, expect, it } from 'vitest';

const never = new Promise<void>(() => {});
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('Prefetch', () => {
  it('gives places that become free to the earliest step', async () => {
    const prefetch = new Prefetch(1);
    const order: number[] = [];
    const leave = await prefetch.enter(0, never);
    const leaving = [3, 1, 2].map((step) =>
      prefetch.enter(step, never).then((leave) => {
        order.push(step);
        return leave;
      }),
    );
    await settle();
    expect(order).toEqual([]);
    leave();
    (await leaving[1]!)();
    (await leaving[2]!)();
    (await leaving[0]!)();
    expect(order).toEqual([1, 2, 3]);
    await prefetch.enter(4, never); // and the place is free again
  });

  it('lets in what is due although there is no place, and that takes none away', async () => {
    const prefetch = new Prefetch(1);
    const leave = await prefetch.enter(5, never);
    const due = await prefetch.enter(4, Promise.resolve());
    due();
    let entered = false;
    const waiting = prefetch.enter(6, never).then((leave) => {
      entered = true;
      return leave;
    });
    await settle();
    expect(entered).toBe(false);
    leave();
    (await waiting)();
  });
});
