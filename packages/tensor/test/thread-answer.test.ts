/** A thread that is asked answers, or whoever asked hears why it does not. */
import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { answerOf, isOutOfThreads } from '../src/node/thread-answer.ts';

const start = (body: string) =>
  new Worker(`const { parentPort } = require('node:worker_threads');\n${body}`, { eval: true });
const refuse = (why: string) => new Error(`no answer: ${why}`);

it('is given what it says next, one thing after the other', async () => {
  const thread = start("parentPort.on('message', (n) => parentPort.postMessage(2 * n))");
  for (const n of [1, 2, 3]) {
    thread.postMessage(n);
    expect(await answerOf(thread, refuse)).toBe(2 * n);
  }
  for (const event of ['message', 'error', 'exit']) expect(thread.listenerCount(event)).toBe(0);
  await thread.terminate();
});

it('says that memory is out where an array is refused', async () => {
  await expect(answerOf(start('new ArrayBuffer(2 ** 52);'), refuse)).rejects.toThrow('no answer: memory');
});

it('says that memory is out where its heap is full', async () => {
  // A heap that is really full may end the process of the test, too.
  const thread = new EventEmitter();
  const asked = answerOf(thread as Worker, refuse);
  thread.emit('error', Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }));
  await expect(asked).rejects.toThrow('no answer: memory');
});

it('says that it has ended', async () => {
  await expect(answerOf(start(''), refuse)).rejects.toThrow('no answer: ended');
});

it('leaves other errors as they are', async () => {
  await expect(answerOf(start("throw new TypeError('odd')"), refuse)).rejects.toThrow(/^odd$/);
  await expect(answerOf(start("throw new RangeError('sample 3 of 2')"), refuse)).rejects.toThrow(/^sample 3/);
});

it('knows a thread that the system did not give', () => {
  const failed = (message: string, code?: string) => Object.assign(new Error(message), code && { code });
  expect(isOutOfThreads(failed('Worker initialization failure: EAGAIN', 'ERR_WORKER_INIT_FAILED'))).toBe(
    true,
  );
  expect(isOutOfThreads(failed('EAGAIN'))).toBe(true);
  expect(isOutOfThreads(failed('Worker initialization failure: EMFILE', 'ERR_WORKER_INIT_FAILED'))).toBe(
    false,
  );
  expect(isOutOfThreads(failed('heap'))).toBe(false);
});
