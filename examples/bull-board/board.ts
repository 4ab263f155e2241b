/**
 * Shows the task queues of a cluster in Bull Board: `node examples/bull-board/board.ts redis://127.0.0.1:6379`, with the Redis of the
 * coordinator. Each job has three queues, which exist only while the job runs, so the script looks for them every second. The board
 * is read-only, because the coordinator undoes manual changes to the queues.
 */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { HonoAdapter } from '@bull-board/hono';
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Queue } from 'bullmq';
import { Hono } from 'hono';
import { Redis } from 'ioredis';

const [url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', port = '3000'] = process.argv.slice(2);
const LOOK_MS = 1_000;

const redis = new Redis(url, { maxRetriesPerRequest: null });
const queues = new Map<string, { readonly queue: Queue; readonly adapter: BullMQAdapter }>();
const server = new HonoAdapter(serveStatic);
const board = createBullBoard({ queues: [], serverAdapter: server });

/** Every queue that has held something has a key `{kasane:JOB:RUN}:QUEUE:meta`. */
async function findQueues(): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const keys of redis.scanStream({ match: '{kasane:*}:*:meta', count: 1000 }))
    for (const key of keys as string[]) found.add(key.replace(/:meta$/, ''));
  return found;
}

async function look(): Promise<void> {
  const found = await findQueues();
  for (const [key, { queue, adapter }] of queues) {
    if (found.has(key)) continue;
    board.removeQueue(adapter);
    queues.delete(key);
    await queue.close();
  }
  for (const key of found) {
    if (queues.has(key)) continue;
    const [, run, name] = /^\{kasane:(.+)\}:(.+)$/.exec(key)!;
    // Without `skipMetasUpdate`, looking at a queue would create it again after its job has ended.
    const queue = new Queue(name!, { connection: redis, prefix: `{kasane:${run}}`, skipMetasUpdate: true });
    const adapter = new BullMQAdapter(queue, { prefix: `${run}/`, readOnlyMode: true });
    queues.set(key, { queue, adapter });
    board.addQueue(adapter);
  }
}

/** What went wrong is said once. */
let said = '';
const again = () =>
  look().catch(({ message }: Error) => {
    if (message !== said) console.error(`the queues cannot be read: ${message}`);
    said = message;
  });
redis.on('error', ({ message }: Error) => {
  if (message !== said) console.error(`Redis: ${message}`);
  said = message;
});
await again();
setInterval(again, LOOK_MS);
server.setBasePath('/');
const app = new Hono().route('/', server.registerPlugin());
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(port) }, (address) =>
  console.log(`Bull Board at http://127.0.0.1:${address.port}`),
);
