/** Pages that do not read what they are sent: all of them together hold a bounded part of the coordinator's memory. */
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it, vi } from 'vitest';
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

it('says which jobs have gone, whoever deleted them, and sends the rest to those who come later', async () => {
  let ids = ['job-1', 'job-2', 'job-3'];
  const client = {
    list: async () => ids.map((id) => ({ id, submittedAt: Number(id.at(-1)) })),
    status: async () => ({ workers: [] }),
  } as unknown as CoordinatorClient;
  const viewers = new Viewers(client, 'here:1');
  const open = () => {
    const response = page(false);
    const events: [string, unknown][] = [];
    const write = response.write.bind(response) as (text: string) => boolean;
    response.write = ((text: string) => {
      const [, event, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text)!;
      if (event !== 'cluster') events.push([event!, JSON.parse(data!)]);
      return write(text);
    }) as typeof response.write;
    viewers.add(response, '', 'curves');
    return events;
  };
  const events = open();
  await vi.waitFor(() => expect(events).toHaveLength(1));
  ids = ['job-1', 'job-3'];
  await vi.waitFor(() => expect(events.slice(1)).toEqual([['gone', ['job-2']]]), { timeout: 10_000 });
  expect(open()).toMatchObject([['jobs', [{ id: 'job-3' }, { id: 'job-1' }]]]);
  viewers.close();
});
