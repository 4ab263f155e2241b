/** The plan of a run: which samples each task of each step takes, as ranges of the epoch's permutation. */
import { crc32 } from 'node:zlib';
import { DataError, type DataParts } from '@kasane/data/dataset';
import { cut, type EpochPlan, planEpoch, planEvaluation, type Range, stepsOfRound } from '@kasane/data/plan';
import { SampleOrder } from '@kasane/data/shuffle';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { scheduleOf } from '@kasane/protocol/internal/job/job-exchange';
import { MOST_SHARDS_OF_TASK } from '@kasane/protocol/internal/queue/queue';
import { openFrame } from '@kasane/protocol/internal/wire/frame';
import type { Job } from '@kasane/protocol/job';
import { type Limits, LOOK_AHEAD_STEPS } from '@kasane/protocol/limits';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { whyImpossibleTally } from '@kasane/tensor/internal/tally';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import { learningRate } from '@kasane/tensor/optim/schedules';
import { sizeOf } from '@kasane/tensor/shape';
import type { NewTask } from '../queue/task-queue.ts';
import type { Answer } from './answers.ts';

/** Bytes of samples handed out ahead in rounds of local steps, since workers hold them; at least the next round is handed out. */
const LOOK_AHEAD_BYTES = 64 << 20;

/** Any error while reading is reported as an error in the data. */
function refuse(error: unknown): never {
  throw error instanceof DataError ? error : new DataError(messageOf(error), { cause: error });
}

/** How the samples of an epoch are divided. */
export interface Cuts {
  /** Samples per step. */
  readonly batch: number;
  /** Parts of it that are computed separately. */
  readonly shards: number;
  /** Parts of a shard that are computed one after the other. */
  readonly accumulate: number;
  /** Local steps between two exchanges. A step of the run is a round of this many. */
  readonly every: number;
}

export const cutsOf = ({ training, exchange }: Job['spec']): Cuts => {
  const { batch, shards, accumulate } = training;
  return { batch, shards, accumulate, every: exchange.every };
};

/** Nodes of the tree of shards, with `each` consecutive shards; the last one may have fewer. */
const groupsOf = (shards: readonly Range[], each: number): Range[][] =>
  Array.from({ length: Math.ceil(shards.length / each) }, (_, group) =>
    shards.slice(group * each, (group + 1) * each),
  );

/** The range of all samples of consecutive shards. */
const around = (shards: readonly Range[]): Range => ({ start: shards[0]!.start, end: shards.at(-1)!.end });

const planRounds = (samples: number, { batch, shards, every }: Cuts): EpochPlan =>
  planEpoch({ samples, batch: batch * every, shards });

/** All numbers of samples that are computed at once in training, largest first. */
export function trainSizes(samples: number, cuts: Cuts): number[] {
  const { batch, accumulate, every } = cuts;
  const plan = planRounds(samples, cuts);
  const stepsPerEpoch = Math.ceil(samples / batch);
  const parts = [0, plan.stepsPerEpoch - 1].flatMap((round) =>
    plan
      .shards(round)
      .flatMap((shard) => cut(shard, stepsOfRound(round, { stepsPerEpoch, every }).count))
      .flatMap((step) => cut(step, accumulate)),
  );
  return [...new Set(parts.map(({ start, end }) => end - start))].sort((a, b) => b - a);
}

/** Steps whose groups are remembered: more than are handed out ahead. */
const KEPT_STEPS = 4 * LOOK_AHEAD_STEPS;
/** Limit for the samples of a task of several shards, since its worker holds all of them at once. */
const GROUP_BYTES = 16 << 20;

/** The figures of an answer that can be checked for plausibility. */
type ShardResult = Pick<Answer, 'samples' | 'counted' | 'lossSum' | 'metricSum'> & {
  readonly weight?: number | undefined;
  readonly testCounts: readonly number[];
  readonly testSums: readonly number[];
};

export class RunPlan {
  readonly #id: string;
  readonly #job: Job;
  readonly #data: DataParts;
  readonly #epochPlan: EpochPlan;
  readonly #order: SampleOrder;
  readonly evaluation: readonly Range[];
  readonly #levelNow: () => number;
  /** By step, the level of the tree of shards whose nodes are its tasks: 2 ** level shards each. */
  readonly #levels = new Map<number, number>();

  /**
   * @param id the job's ID
   * @param levelNow level of the tree of shards whose nodes are handed out as tasks; called once per step. Default: each shard is a task
   */
  constructor(id: string, job: Job, data: DataParts, levelNow: () => number = () => 0) {
    const { seed } = job.spec.training;
    this.#id = id;
    this.#job = job;
    this.#data = data;
    this.#levelNow = levelNow;
    this.#epochPlan = planRounds(data.train.samples, cutsOf(job.spec));
    this.#order = new SampleOrder(data.train.samples, seed);
    this.evaluation = planEvaluation({
      samples: data.test.samples,
      shardSamples: job.spec.evaluation.shardSamples,
    });
  }

  /** Bytes of one staged sample, including its index. */
  get sampleBytes(): number {
    const { input, target } = this.#data.train;
    return 4 + fieldBytes(target) + fieldBytes(input);
  }

  /** Steps per epoch: updates of the parameters at the coordinator, which are rounds if there are local steps. */
  get stepsPerEpoch(): number {
    return this.#epochPlan.stepsPerEpoch;
  }

  /** Local steps per round, at most; 1: no local steps. */
  get every(): number {
    return this.#job.spec.exchange.every;
  }

  /** Steps that a replica takes per epoch: as many as without local steps. */
  get localStepsPerEpoch(): number {
    return Math.ceil(this.#data.train.samples / this.#job.spec.training.batch);
  }

  /** The learning rate of a step, or of the first local step of a round. */
  learningRate(step: number): number {
    const { training } = this.#job.spec;
    const stepsPerEpoch = this.localStepsPerEpoch;
    const { first } = stepsOfRound(step, { stepsPerEpoch, every: this.every });
    return learningRate(scheduleOf(training), first, training.epochs * stepsPerEpoch);
  }

  get totalSteps(): number {
    return this.stepsPerEpoch * this.#job.spec.training.epochs;
  }

  /** Epoch of a step, both counted from 0. */
  epochOf(step: number): number {
    return Math.floor(step / this.stepsPerEpoch);
  }

  /** The tasks of a step: each is a shard, or a group of consecutive shards that its worker adds along their tree. */
  tasks(step: number): readonly Range[] {
    const shards = this.#epochPlan.shards(step % this.stepsPerEpoch);
    const each = this.shardsPerTask(step);
    return each === 1 ? shards : groupsOf(shards, each).map(around);
  }

  /** Shards per task of a step; the last task may have fewer. */
  shardsPerTask(step: number): number {
    return 2 ** this.#levelOf(step);
  }

  /** The number of samples of each shard of a training task; undefined if it is a single shard. */
  shardsOf(task: Pick<NewTask, 'kind' | 'step' | 'shard'>): number[] | undefined {
    const shards = this.#shardsOfTask(task);
    return shards.length > 1 ? shards.map(({ start, end }) => end - start) : undefined;
  }

  /** The shards of a task; none if there is no such task. */
  #shardsOfTask({ kind, step, shard: task }: Pick<NewTask, 'kind' | 'step' | 'shard'>): readonly Range[] {
    if (kind === 'evaluate') return this.evaluation.slice(task, task + 1);
    const each = this.shardsPerTask(step);
    return Array.from({ length: each }, (_, index) =>
      this.#epochPlan.shard(step % this.stepsPerEpoch, task * each + index),
    ).filter((shard) => shard !== undefined);
  }

  /** The level at which a step is handed out. It does not change once it has been chosen. */
  #levelOf(step: number): number {
    const known = this.#levels.get(step);
    if (known !== undefined) return known;
    const level = this.#levelNow();
    this.#levels.set(step, level);
    this.#levels.delete(step - KEPT_STEPS);
    return level;
  }

  /** The highest level of the tree of shards whose nodes may be tasks. */
  get highestLevel(): number {
    const { precision } = this.#job.spec.exchange;
    const { batch, shards, every } = cutsOf(this.#job.spec);
    // Rounded gradients and replicas' changes must be sent separately: their sums would need more bits.
    if (precision !== 'f32' || every > 1) return 0;
    const bytes = this.sampleBytes * Math.ceil(batch / shards);
    return Math.max(0, Math.floor(Math.log2(Math.min(MOST_SHARDS_OF_TASK, GROUP_BYTES / bytes))));
  }

  /** Possible numbers of samples in a part of a training task, or in an evaluation task. */
  get trainSamples(): number[] {
    return trainSizes(this.#data.train.samples, cutsOf(this.#job.spec));
  }

  get evaluateSamples(): number[] {
    return [...new Set(this.evaluation.map((range) => range.end - range.start))];
  }

  /** Number of steps to hand out ahead, at least one. @param direct nothing is staged for them */
  stepsAhead(
    { stagedBytes, queuedTasks }: Pick<Limits, 'stagedBytes' | 'queuedTasks'>,
    direct: boolean,
  ): number {
    const { batch, shards, every } = cutsOf(this.#job.spec);
    const bytes = this.sampleBytes * batch * every;
    const byBytes = direct ? LOOK_AHEAD_STEPS : Math.floor(stagedBytes / bytes);
    const held = every === 1 ? LOOK_AHEAD_STEPS : Math.max(2, Math.floor(LOOK_AHEAD_BYTES / bytes));
    return Math.max(1, Math.min(LOOK_AHEAD_STEPS, held, byBytes, Math.floor(queuedTasks / shards)));
  }

  /** Ranges [first, end) of evaluation shards, each of which needs at most `bytes` when staged, or is a single shard. */
  evaluationRounds(bytes: number, tasks = Number.POSITIVE_INFINITY): readonly Range[] {
    const each = this.sampleBytes * Math.max(...this.evaluateSamples);
    const count = Math.max(1, Math.min(tasks, Math.floor(bytes / each)));
    return planEvaluation({ samples: this.evaluation.length, shardSamples: count });
  }

  range(task: Pick<NewTask, 'kind' | 'step' | 'shard'>): Range {
    const shards = this.#shardsOfTask(task);
    const { kind, step, shard } = task;
    if (shards.length === 0) throw new KasaneError('PROTOCOL', `step ${step} has no ${kind} shard ${shard}`);
    return around(shards);
  }

  samplesOf(task: Pick<NewTask, 'kind' | 'step' | 'shard'>): number {
    const { start, end } = this.range(task);
    return end - start;
  }

  /** Indices of a task's samples in their dataset. */
  indices(task: Pick<NewTask, 'kind' | 'step' | 'shard' | 'epoch'>): Uint32Array {
    const { start, end } = this.range(task);
    return this.#order.indices(task.kind, task.epoch, start, end - start);
  }

  /** The samples of a task as a frame; a promise if reading takes time. */
  batch(task: NewTask): Buffer | Promise<Buffer> {
    const ordering = task.kind === 'train' ? this.#order.prepare(task.epoch) : undefined;
    return ordering ? ordering.then(() => this.#gather(task)) : this.#gather(task);
  }

  #gather(task: NewTask): Buffer | Promise<Buffer> {
    const dataset = task.kind === 'train' ? this.#data.train : this.#data.test;
    const { input, target } = dataset;
    const { step, shard, epoch } = task;
    const indices = this.indices(task);
    const samples = indices.length;
    const targetsAt = indices.byteLength;
    const inputsAt = targetsAt + samples * fieldBytes(target);
    const end = inputsAt + samples * fieldBytes(input);
    const header = { kind: 'batch', job: this.#id, step, shard, epoch, samples, input, target } as const;
    const { payload, seal } = openFrame(header, end);
    payload.set(new Uint8Array(indices.buffer, indices.byteOffset, indices.byteLength));
    const gathered = dataset.gather(
      indices,
      payload.subarray(inputsAt),
      payload.subarray(targetsAt, inputsAt),
    );
    return gathered ? gathered.then(seal, refuse) : seal();
  }

  /** Why no honest worker can have computed these figures; undefined if they are plausible. */
  whyImpossible(
    kind: NewTask['kind'],
    { samples, counted, weight = counted, lossSum, metricSum, testCounts, testSums }: ShardResult,
  ): string | undefined {
    const { objective, model } = this.#job;
    const outputs = kind === 'evaluate' ? sizeOf(model.outputShape) : 0;
    const tally = { counts: testCounts, sums: testSums };
    const wrongTally = whyImpossibleTally(objective.type, outputs, tally, samples);
    if (wrongTally !== undefined) return wrongTally;
    const tokens = objective.type === 'next-token' || objective.type === 'masked-token';
    const most = tokens ? samples * sizeOf(this.#data.train.target.shape) : samples;
    if (counted > most || (!tokens && counted !== samples))
      return `it counts ${counted} losses of ${samples} samples; at most ${most} are possible`;
    const weights =
      kind === 'train' && objective.type === 'classification' ? objective.classWeights : undefined;
    const [least, largest] = weights ? [Math.min(...weights), Math.max(...weights)] : [1, 1];
    // Weights are added in float32.
    if (
      !(
        weight >= counted * least * (weights ? 0.999 : 1) &&
        weight <= counted * largest * (weights ? 1.001 : 1)
      )
    )
      return `its ${counted} losses have the weight ${weight}; from ${counted * least} to ${counted * largest} is possible`;
    // A test may overflow. In training the loss overflows too, and is reported with its step and layer.
    if (!Number.isFinite(metricSum) && (kind === 'evaluate' || !Number.isFinite(lossSum))) return undefined;
    const metric = metricOf(objective);
    const highest = metricKindOf[metric] === 'fraction' ? counted * 1.001 : Number.MAX_VALUE;
    // A custom loss may be negative.
    const lowest = objective.type === 'own' && metric === 'error' ? -Number.MAX_VALUE : 0;
    if (metricSum >= lowest && metricSum <= highest) return undefined;
    const sum = `its ${metric} adds up to ${metricSum} over ${counted} losses`;
    if (objective.type !== 'own') return sum;
    return metric === 'error'
      ? `${sum}: the metric of the model's loss must be a finite number`
      : `${sum}, but the accuracy of a sample is between 0 and 1: fix the metric of the model's loss, or set its kind to error`;
  }

  /** CRC-32 of the indices that an honest worker uses. */
  digest(task: Pick<NewTask, 'kind' | 'step' | 'shard' | 'epoch'>): number {
    const indices = this.indices(task);
    return crc32(new Uint8Array(indices.buffer, indices.byteOffset, indices.byteLength));
  }
}
