/** Pages that do not read what they are sent: all of them together hold a bounded part of the coordinator's memory. */
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it } from 'vitest';
import { VIEWERS, Viewers } from '../src/viewers.ts';

/** A page's response; one that is stalled never takes what is written to it. */
function page(stalled: boolean): ServerResponse {
  const stream = new Writable({ write: (_chunk, _encoding, done) => void (stalled || done()) });
  return Object.assign(stream, { writeHead: () => stream }) as unknown as ServerResponse;
}

it('cuts off those that are most behind, and nobody else', () => {
  let more: ((message: WatchMetricsResponse) => void)[] = [];
  const client = {
    watchMetrics: (_job: string, onMessage: (message: WatchMetricsResponse) => void) => {
      more.push(onMessage);
      return () => {};
    },
    listenToEvents: () => () => {},
    list: () => new Promise(() => {}),
    status: () => new Promise(() => {}),
    get: () => new Promise(() => {}),
  } as unknown as CoordinatorClient;
  const viewers = new Viewers(client, 'here:1');
  const pages = Array.from({ length: VIEWERS }, (_, index) => page(index % 4 > 0));
  for (const response of pages) viewers.add(response, 'job-1', 'layers');
  const spec = 'x'.repeat(1 << 19);
  const message = { layers: [], spec, points: [], more: true, gradients: [], activations: [] };
  const behind = () =>
    pages.reduce((sum, { destroyed, writableLength }) => sum + (destroyed ? 0 : writableLength), 0);
  let most = 0;
  for (let count = 0; count < 6; count++) {
    for (const onMessage of more) onMessage(message);
    most = Math.max(most, behind());
  }
  expect(most).toBeLessThanOrEqual(64 << 20);
  expect(pages.filter((_, index) => index % 4 === 0).every(({ destroyed }) => !destroyed)).toBe(true);
  more = [];
  viewers.close();
});
