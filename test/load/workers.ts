/** Many synthetic workers in one process: `{ coordinator, workers, sharedMemory, pauseMs }` as JSON is its argument. */
import { startWorker } from '@kasane/worker/worker';
import { pino } from 'pino';
import { serveParent, Tally } from './child.ts';
import { SyntheticSlots } from './synthetic.ts';

export interface WorkersOptions {
  readonly coordinator: string;
  readonly workers: number;
  /** Tensors through shared memory, as workers of one machine have it, or over links, as others have. */
  readonly sharedMemory: boolean;
  /** That each waits before an answer, in milliseconds. Default 0. */
  readonly pauseMs?: number;
}

const { coordinator, workers, sharedMemory, pauseMs } = JSON.parse(process.argv[2]!) as WorkersOptions;
const complaints = new Tally();
const log = pino({ level: 'warn' }, { write: (line: string) => complaints.add(JSON.parse(line).msg) });
for (let index = 0; index < workers; index++) {
  const worker = await startWorker({ coordinator, compute: new SyntheticSlots(pauseMs), sharedMemory, log });
  worker.done.catch((error: Error) => complaints.add(error.message));
  await worker.connected;
}
serveParent(complaints, () => ({}));
