import { expect, it } from 'vitest';
import { PacedFrames } from '../src/wire/paced-frames.ts';

/** Frames by their first byte, as they are sent; and what waits for its turn. */
function paced(window: number) {
  const sent: number[] = [];
  const frames = new PacedFrames((frame) => sent.push(frame[0]!));
  frames.window = window;
  let left = 0;
  const send = (...numbers: readonly number[]) => {
    for (const one of numbers) void Promise.resolve(frames.send(Buffer.alloc(100, one))).then(() => left++);
  };
  return { frames, sent, send, left: () => left };
}

it('sends at once where there is no window', () => {
  const { sent, send } = paced(0);
  send(1, 2, 3, 4);
  expect(sent).toEqual([1, 2, 3, 4]);
});

it('has no more under way than its window, in order, and says when each has left', async () => {
  const { frames, sent, send, left } = paced(250);
  send(1, 2, 3, 4);
  await Promise.resolve();
  expect([sent, left()]).toEqual([[1, 2], 2]);
  frames.took();
  expect(sent).toEqual([1, 2, 3]);
  send(5);
  frames.took();
  frames.took();
  expect(sent).toEqual([1, 2, 3, 4, 5]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(left()).toBe(5);
});

it('sends a frame that is longer than the window by itself', () => {
  const { frames, sent, send } = paced(50);
  send(1, 2);
  expect(sent).toEqual([1]);
  frames.took();
  expect(sent).toEqual([1, 2]);
});

it('takes more words than it sent frames, and none of those who wait is forgotten', async () => {
  const { frames, sent, send, left } = paced(150);
  frames.took();
  send(1, 2, 3);
  expect(sent).toEqual([1]);
  frames.window = 0;
  expect(sent).toEqual([1, 2, 3]);
  frames.window = 50;
  send(4, 5);
  frames.close();
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(left()).toBe(5);
});
