/** Requests that each gRPC method takes: what is edited to come close. Typed over the services: a method without any does not compile. */
import { ClusterService } from '@kasane/protocol/gen/kasane/v1/cluster';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { JobsService } from '@kasane/protocol/gen/kasane/v1/jobs';
import { ModelsService } from '@kasane/protocol/gen/kasane/v1/models';
import { SweepsService } from '@kasane/protocol/gen/kasane/v1/sweeps';
import {
  type ConnectRequest,
  TaskFailure_Reason,
  type TaskId,
  TrainingService,
  type WorkerMessage,
} from '@kasane/protocol/gen/kasane/v1/training';
import { PROTOCOL_VERSION } from '@kasane/protocol/limits';

export interface Method {
  /** `/package.Service/Method` */
  readonly path: string;
  /** Messages that it takes, encoded. */
  readonly valid: readonly Buffer[];
  /** It answers with messages that may never end. */
  readonly streams: boolean;
  /** It is not ours: its refusals have no code of our table. */
  readonly foreign?: boolean;
}

type Service = Readonly<
  Record<
    string,
    {
      readonly path: string;
      readonly responseStream: boolean;
      readonly requestSerialize: (value: never) => Buffer;
    }
  >
>;
type RequestsOf<S extends Service> = {
  readonly [M in keyof S]: readonly Parameters<S[M]['requestSerialize']>[0][];
};

function methodsOf<S extends Service>(service: S, requests: RequestsOf<S>): Method[] {
  return Object.entries(service).map(([name, { path, responseStream, requestSerialize }]) => ({
    path,
    streams: responseStream,
    valid: requests[name as keyof S].map((request) => requestSerialize(request as never)),
  }));
}

type Said = NonNullable<WorkerMessage['message']>;

/** Says that it is this worker. */
export const hello = (worker: string): ConnectRequest => ({
  messages: [
    {
      message: {
        $case: 'hello',
        value: { worker, host: 'h', slots: 1, backend: 'wasm', protocol: PROTOCOL_VERSION },
      },
    },
  ],
});

/** What a worker says once it is connected. @param job one that runs */
export function sayings(job: string): Said[] {
  const task: TaskId = { job, kind: TaskKind.TASK_KIND_TRAIN, step: 0, shard: 1, attempt: 1 };
  const times = { computeMs: 1, samplesMs: 1, slotMs: 0, sentAt: 1.8e12, testCounts: [], testSums: [] };
  return [
    { $case: 'heartbeat', value: { busy: 1, waiting: 2 } },
    { $case: 'claim', value: { task } },
    { $case: 'roundProgress', value: { task, steps: 2 } },
    {
      $case: 'result',
      value: { task, samples: 25, lossSum: 50, metricSum: 3, counted: 25, samplesDigest: 7, ...times },
    },
    {
      $case: 'failure',
      value: { task, reason: TaskFailure_Reason.REASON_COMPUTE, message: 'it did not work' },
    },
    { $case: 'memoryOpened', value: { job } },
    { $case: 'versionMissing', value: { job, version: 3 } },
    { $case: 'dataReach', value: { job, able: true, why: '' } },
    { $case: 'drain', value: {} },
  ];
}

/** Ids of jobs, and of a sweep. */
export interface Jobs {
  /** Goes on for long. */
  readonly sweep: string;
  /** Runs, and waits for workers. */
  readonly running: string;
  /** Has ended, and has weights. */
  readonly trained: string;
  /** May be changed. */
  readonly other: string;
}

/** Of protocols that are not ours: written as protobuf has it, tag, length, text. */
const text = (field: number, value: string) =>
  Buffer.concat([Buffer.of((field << 3) | 2, value.length), Buffer.from(value)]);
const reflection = [
  text(3, 'kasane/v1/jobs.proto'),
  text(4, 'kasane.v1.Jobs'),
  text(6, 'kasane.v1.Job'),
  text(7, ''),
];

/** A sweep file of a job file. */
export const sweepOf = (file: string, trials: number): string =>
  `${file}search: { trials: ${trials}, parameters: { training.learningRate: { log: [0.001, 0.1] } } }\n`;

/**
 * Every method that the coordinator's server has.
 * @param file a job file that is taken
 * @param jobs what they are asked about
 */
export function methods(file: string, { running, trained, other, sweep }: Jobs): Method[] {
  const source = { file: 'jobs/job.yaml', revision: 'c0ffee', dirty: true, kasane: '0.1.0' };
  const either = [{ job: running }, { job: trained }];
  return [
    ...methodsOf(JobsService, {
      submit: [{ jobFile: file, priority: 3, source }],
      check: [{ jobFile: file }],
      get: either,
      list: [
        { pageSize: 3, pageToken: '', sweep: '', withSpecs: true },
        { pageSize: 0, pageToken: '', sweep: 's', withSpecs: false },
      ],
      listEpochs: either.map(({ job }) => ({ job, pageSize: 1, pageToken: '1' })),
      watch: either,
      watchMetrics: either,
      watchEvents: [...either.map(({ job }) => ({ job, after: 0 })), { job: '', after: 3 }],
      cancel: [{ job: other }],
      delete: [{ job: other }],
      pause: [{ job: other }],
      resume: [
        { job: other, epochs: 0 },
        { job: other, epochs: 2 },
      ],
      retry: either,
      setPriority: [{ job: other, priority: -3 }],
      listCheckpoints: either,
      getConfusion: either,
      readSamples: either.map(({ job }) => ({ job, first: 2, count: 5 })),
      downloadModel: [...either, { job: trained, checkpoint: 2 }],
    }),
    ...methodsOf(SweepsService, {
      submit: [{ sweepFile: sweepOf(file, 1), priority: 3, source }],
      get: [{ sweep }],
      list: [{ pageSize: 3, pageToken: '' }],
      watch: [{ sweep }],
      cancel: [{ sweep: other }],
    }),
    ...methodsOf(ModelsService, {
      register: [
        { job: trained, name: 'fuzzed', version: '2', aliases: ['best'], description: 'of a fuzzer' },
      ],
      get: [{ model: 'fuzzed:1' }],
      list: [{ name: 'fuzzed', pageSize: 3, pageToken: '' }],
      setAlias: [{ model: 'fuzzed:1', alias: 'production' }],
      removeAlias: [{ name: 'fuzzed', alias: 'production' }],
      delete: [{ model: 'fuzzed:2' }],
      download: [{ model: 'fuzzed:1' }],
    }),
    ...methodsOf(ClusterService, { status: [{}], drain: [{ worker: 'w' }] }),
    ...methodsOf(TrainingService, {
      connect: [
        hello('w'),
        { messages: [...hello('v').messages, ...sayings(running).map((message) => ({ message }))] },
        { messages: sayings(running).map((message) => ({ message })) },
      ],
    }),
    ...['v1', 'v1alpha'].map((version) => ({
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      ...{ valid: reflection, streams: true, foreign: true },
    })),
    ...['Check', 'Watch'].map((name) => ({
      path: `/grpc.health.v1.Health/${name}`,
      ...{ valid: [text(1, 'kasane.v1.Jobs'), text(1, '')], streams: name === 'Watch', foreign: true },
    })),
  ];
}
