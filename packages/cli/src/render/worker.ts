/** A worker as tables show it. */
import type { WorkerStatus } from '@kasane/protocol/gen/kasane/v1/cluster';

export const workerHead = ['WORKER', 'HOST', 'BACKEND', 'SLOTS', 'DONE', 'HELD'] as const;

/** Its cells below that head. */
export const workerCells = (worker: WorkerStatus): string[] => [
  worker.id,
  worker.host,
  worker.backend,
  String(worker.slots),
  String(worker.tasksDone),
  `${worker.tasksHeld}${worker.draining ? ', draining' : worker.resting.length > 0 ? ', resting' : ''}`,
];
