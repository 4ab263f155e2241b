/** The options of a run, and the times it reports. */

import type { DataParts } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import type { Job } from '@kasane/protocol/job';
import type { Limits } from '@kasane/protocol/limits';
import type { Reason } from '@kasane/protocol/reasons';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Turn } from '../jobs/turns.ts';
import type { UpdateTimes } from '../params/parameter-server.ts';
import type { PeerMesh } from '../peers/mesh.ts';
import type { ExchangeMode } from '../peers/owner-choice.ts';
import type { DecideOptions } from '../steps/decide.ts';
import type { JobStore } from '../store/store.ts';
import type { WorkerRegistry } from '../workers.ts';
import type { Standstill } from './standstill.ts';

export interface RunOptions {
  readonly id: string;
  readonly job: Job;
  readonly data: DataParts;
  readonly store: JobStore;
  readonly redis: Redis;
  /** Why Redis is not usable; undefined if it is. */
  readonly redisWhy: () => Reason | undefined;
  readonly workers: WorkerRegistry;
  /** Which workers can reach each other, */
  readonly mesh: PeerMesh;
  /** and how gradients are exchanged. */
  readonly exchange: ExchangeMode;
  /** Its turns in sharing the workers with other jobs. */
  readonly turn: Turn;
  /** Folder of this job's checkpoints and model. */
  readonly directory: string;
  readonly decide: DecideOptions;
  /** Watches the job's progress across runs. */
  readonly standstill: Standstill;
  readonly log: Logger;
  readonly limits: Limits;
  /** What the job may read. */
  readonly access: Access;
  /** Seconds after which an unfetched batch expires in Redis; it is staged again if a worker asks for it. */
  readonly batchExpirySeconds: number;
  /** The job's span, if tracing is on. */
  readonly traceparent?: string | undefined;
  /** Records an event of the job. */
  readonly record: (event: JobEvent) => void;
  /** Called after anything that `progress` shows has changed. */
  readonly onChange: () => void;
  /** Called when a step has stalled, and when it makes progress again. */
  readonly onStill: (still: boolean) => void;
  /** Called after each step with its times; for benchmarks. */
  readonly onStep?: (times: StepTimes) => void;
}

/** Where the time of a step went, in milliseconds. */
export interface StepTimes extends UpdateTimes {
  /** From publishing one version to publishing the next. */
  readonly stepMs: number;
  /** Slowest computation of a shard, by the workers' clocks. */
  readonly computeMs: number;
  /** Wait for a worker to fetch the last task; 0 if all were fetched ahead. */
  readonly queueMs: number;
  /** Encoding the new version and sending it to the workers. */
  readonly publishMs: number;
}
