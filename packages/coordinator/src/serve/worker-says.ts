/** Dispatches the messages of an accepted worker. */
import { TaskFailure_Reason, type WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import type { Runs } from '../jobs/runs.ts';
import type { PeerMesh } from '../peers/mesh.ts';
import type { ConnectedWorker } from '../workers.ts';

/** A worker's text, made safe to show. */
export const said = (text: string, most: number) => brief(text, most).replaceAll(/\s+/g, ' ');

/** @param message checked by `checkWorkerMessage`; ignored if its job is not running */
export function hear(
  worker: ConnectedWorker,
  message: NonNullable<WorkerMessage['message']>,
  { runs, mesh }: { readonly runs: Runs; readonly mesh: PeerMesh },
): void {
  switch (message.$case) {
    case 'claim': {
      const { task } = message.value;
      if (task) runs.get(task.job)?.board.claimed(worker.id, task);
      break;
    }
    case 'roundProgress': {
      const { task, steps } = message.value;
      if (task) runs.get(task.job)?.board.progressed(worker.id, task, steps);
      break;
    }
    case 'result': {
      const { task } = message.value;
      if (task && runs.get(task.job)?.board.answered(worker.id, task, message.value)) worker.tasksDone++;
      break;
    }
    case 'failure': {
      const { task } = message.value;
      if (message.value.reason === TaskFailure_Reason.REASON_COMPUTE) worker.tasksFailed++;
      const failure = { ...message.value, message: said(message.value.message, ERROR_TEXT) };
      if (task) runs.get(task.job)?.board.failed(worker.id, task, failure);
      break;
    }
    case 'memoryOpened':
      runs.get(message.value.job)?.sync?.memoryOpened(worker.id);
      break;
    case 'dataReach': {
      const { job, able, why } = message.value;
      runs.get(job)?.workers.reachesData(worker.id, able, said(why, ERROR_TEXT));
      break;
    }
    case 'versionMissing':
      runs.get(message.value.job)?.sync?.versionMissing(worker, message.value.version);
      break;
    case 'jobRefused':
      runs.get(message.value.job)?.workers.refused(worker.id, said(message.value.why, ERROR_TEXT));
      break;
    case 'peersOpened':
      mesh.opened(worker, message.value.address, said(message.value.why, ERROR_TEXT));
      break;
    case 'peerReach': {
      const { worker: other, able, bytesPerSecond, why } = message.value;
      mesh.reached(worker.id, other, able, bytesPerSecond, said(why, ERROR_TEXT));
      break;
    }
    case 'drain':
      worker.draining = true;
      runs.workerDrains();
      break;
  }
}
