/** The service for jobs. */
import type { JobsServer } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import { keptSource } from '../submit/source.ts';
import type { Sweeps } from '../sweeps/sweeps.ts';
import type { Downloads } from './downloads.ts';
import { askerOf, handlers } from './handlers.ts';
import { watchEvents } from './watch-events.ts';
import { watchJob } from './watch-job.ts';
import { watchMetrics } from './watch-metrics.ts';

/** @param sweeps that some of the jobs are trials of */
export function jobsService(
  manager: JobManager,
  sweeps: Pick<Sweeps, 'requireResumable' | 'requireDeletable'>,
  downloads: Downloads,
  log: Logger,
): JobsServer {
  const { unary, watched } = handlers(log);
  return {
    submit: unary(({ jobFile, priority, source }, call) =>
      manager.submit(jobFile, priority, askerOf(call), keptSource(source)),
    ),
    check: unary(({ jobFile }, call) => manager.check(jobFile, askerOf(call))),
    get: unary(({ job }) => ({ job: manager.get(job) })),
    list: unary((request) => manager.list(request)),
    listEpochs: unary(({ job, pageSize, pageToken }) => manager.epochs(job, pageSize, pageToken)),
    resume: unary(async ({ job, epochs }) => {
      sweeps.requireResumable(job);
      return { job: await manager.resume(job, epochs) };
    }),
    listCheckpoints: unary(async ({ job }) => ({ checkpoints: await manager.checkpoints(job) })),
    getConfusion: unary(({ job }) => manager.confusion(job)),
    readSamples: unary(({ job, first, count }) => manager.samples(job, first, count)),
    cancel: unary(async ({ job }) => ({ job: await manager.cancel(job) })),
    delete: unary(async ({ job }) => {
      sweeps.requireDeletable(job);
      return { bytes: await manager.delete(job) };
    }),
    pause: unary(async ({ job }) => ({ job: await manager.pause(job) })),
    retry: unary(({ job }, call) => manager.retry(job, askerOf(call))),
    setPriority: unary(async ({ job, priority }) => ({ job: await manager.setPriority(job, priority) })),
    watch: watched((call, refuse) => watchJob(call, manager, refuse)),
    watchMetrics: watched((call, refuse) => watchMetrics(call, manager, refuse)),
    watchEvents: watched((call, refuse) => watchEvents(call, manager, refuse)),
    downloadModel: downloads.of(({ job, checkpoint }) => manager.model(job, checkpoint)),
  };
}
