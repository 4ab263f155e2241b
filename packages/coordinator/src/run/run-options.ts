/** What a run is given, and what it tells of its steps. */

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
  /** What is wrong with Redis; undefined when nothing is. */
  readonly redisWhy: () => Reason | undefined;
  readonly workers: WorkerRegistry;
  /** Which of them reach one another, */
  readonly mesh: PeerMesh;
  /** and which way gradients take. */
  readonly exchange: ExchangeMode;
  /** Its part in sharing the workers with other jobs. */
  readonly turn: Turn;
  /** Folder of this job's checkpoints and model. */
  readonly directory: string;
  readonly decide: DecideOptions;
  /** Watches the job's progress, over all its runs. */
  readonly standstill: Standstill;
  readonly log: Logger;
  readonly limits: Limits;
  /** What the job may name. */
  readonly access: Access;
  /** After which a batch that nobody fetched leaves Redis; it is staged anew when somebody comes. */
  readonly batchExpirySeconds: number;
  /** The job's span, if there is one. */
  readonly traceparent?: string | undefined;
  /** Keeps what happens to the job. */
  readonly record: (event: JobEvent) => void;
  /** Called after anything that `progress` shows has changed. */
  readonly onChange: () => void;
  /** Called when nothing has come of a step for long, and when something has again. */
  readonly onStill: (still: boolean) => void;
  /** Called after each step, with where its time went; for benchmarks. */
  readonly onStep?: (times: StepTimes) => void;
}

/** Where the time of a step went, in milliseconds. */
export interface StepTimes extends UpdateTimes {
  /** From the publishing of one version to the publishing of the next. */
  readonly stepMs: number;
  /** Slowest computation of a shard, by the workers' clocks. */
  readonly computeMs: number;
  /** Wait for a worker to fetch the last task; 0 when all were fetched ahead. */
  readonly queueMs: number;
  /** Encoding the new version and sending it to the workers. */
  readonly publishMs: number;
}
