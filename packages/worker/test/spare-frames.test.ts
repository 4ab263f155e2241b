/** When frames leave that nobody waits for yet. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SpareFrames } from '../src/peers/spare-frames.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 0, toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What has left, and what ends the frames that go first. */
function spareFrames() {
  const sent: string[] = [];
  const frames = new SpareFrames(async (frame) => {
    sent.push(frame.toString());
  });
  const push = (step: number, text: string) => frames.push(step, Buffer.from(text));
  const urgent = (step: number) => {
    let leave = () => {};
    frames.after(step, new Promise<void>((resolve) => (leave = resolve)));
    return async () => {
      leave();
      await settled();
    };
  };
  return { frames, sent, push, urgent };
}

/** Lets what has been resolved go on. */
const settled = () => vi.advanceTimersByTimeAsync(0);

it('leave at once, in order, where their step counts and nothing goes first', async () => {
  const { frames, sent, push } = spareFrames();
  push(3, 'a');
  await settled();
  expect(sent).toEqual([]);
  frames.counts(3);
  push(3, 'b');
  await settled();
  expect(sent).toEqual(['a', 'b']);
  push(4, 'c');
  await settled();
  expect(sent).toEqual(['a', 'b']);
});

it('leave after all that goes first of their step and of earlier ones, and before that of later ones', async () => {
  const { frames, sent, push, urgent } = spareFrames();
  frames.counts(4);
  const [gradients, versions, next] = [urgent(3), urgent(3), urgent(4)];
  push(3, 'a');
  push(3, 'b');
  push(4, 'c');
  await gradients();
  expect(sent).toEqual([]);
  await versions();
  expect(sent).toEqual(['a', 'b']);
  await next();
  expect(sent).toEqual(['a', 'b', 'c']);
});

it('leave one by one while what goes first is on its way, and all where that does not move', async () => {
  const { frames, sent, push, urgent } = spareFrames();
  frames.counts(3);
  urgent(3);
  for (const text of 'abcdefghij') push(3, text);
  await vi.advanceTimersByTimeAsync(240);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(20);
  expect(sent).toEqual(['a']);
  await vi.advanceTimersByTimeAsync(250);
  const moving = urgent(3);
  await moving();
  await vi.advanceTimersByTimeAsync(900);
  expect(sent).toEqual(['a', 'b', 'c', 'd', 'e']);
  await vi.advanceTimersByTimeAsync(400);
  expect(sent.join('')).toBe('abcdefghij');
});

it('are forgotten where nobody needs them, and others leave after that', async () => {
  const { frames, sent, push, urgent } = spareFrames();
  const versions = urgent(3);
  push(3, 'a');
  await settled();
  frames.clear();
  await versions();
  push(4, 'b');
  frames.counts(4);
  await settled();
  expect(sent).toEqual(['b']);
});
