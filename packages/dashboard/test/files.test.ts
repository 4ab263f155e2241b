/** Which files the page is, and how often they are made. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { serveFile } from '../src/files.ts';

const bundled = vi.hoisted(() => ({ times: 0 }));
vi.mock('../src/bundle.ts', () => ({
  bundlePage: async () => {
    bundled.times++;
    await nextTurn();
    return new Map([['index.html', Buffer.from(`page ${bundled.times}`)]]);
  },
}));

async function open(): Promise<string> {
  let body = '';
  const response = { writeHead: () => {}, end: (content: Uint8Array) => (body = String(content)) };
  await serveFile('/', { headers: {} } as IncomingMessage, response as unknown as ServerResponse);
  return body;
}

it('makes the page once for all who open it at the same time, and again for a later one', async () => {
  expect(await Promise.all(Array.from({ length: 1000 }, open))).toEqual(Array(1000).fill('page 1'));
  expect(await open()).toBe('page 2');
});
