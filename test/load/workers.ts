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
  /** It waits as a computation goes on: for the parameters, and with the gradient of one layer after the other. Default false. */
  readonly gradual?: boolean;
  readonly token?: string;
}

const { coordinator, workers, sharedMemory, pauseMs, gradual, token } = JSON.parse(
  process.argv[2]!,
) as WorkersOptions;
const complaints = new Tally();
const log = pino({ level: 'warn' }, { write: (line: string) => complaints.add(JSON.parse(line).msg) });
for (let index = 0; index < workers; index++) {
  const compute = new SyntheticSlots(pauseMs, gradual);
  const worker = await startWorker({ coordinator, token, compute, sharedMemory, log });
  worker.done.catch((error: Error) => complaints.add(error.message));
  await worker.connected;
}
serveParent(complaints, () => ({}));
