/** Pages that compare runs ask for all jobs: many that do so at once are answered with what is fetched once. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '@kasane/dashboard/internal/requests';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { expect, it } from 'vitest';

it('fetches the jobs of a sweep once for all who ask meanwhile', async () => {
  const asked: string[] = [];
  const client = {
    list: async (_: number, { sweep }: { sweep: string }) => {
      asked.push(sweep);
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (sweep === 'bad') throw new Error('away');
      return [];
    },
  } as unknown as CoordinatorClient;
  const ask = async (sweep: string) => {
    let body = '';
    const response = {
      writeHead: () => response,
      end: (text: string) => {
        body = text;
      },
    };
    const url = new URL(`http://x/runs?sweep=${sweep}`);
    await answer(client, url, { method: 'GET' } as IncomingMessage, response as unknown as ServerResponse);
    return body;
  };
  const answers = await Promise.all(['a', 'a', 'b', 'a', 'b'].map(ask));
  expect(asked).toEqual(['a', 'b']);
  expect(new Set(answers).size).toBe(1);
  // What has been answered is not what there is later, and a failure is nobody else's.
  await ask('a');
  await expect(ask('bad')).rejects.toThrow('away');
  await expect(ask('bad')).rejects.toThrow('away');
  expect(asked).toEqual(['a', 'b', 'a', 'bad', 'bad']);
});
