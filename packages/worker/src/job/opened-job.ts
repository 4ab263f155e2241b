/** A job as a worker computes it, from the coordinator's description. */
import { KasaneError } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { whyUnfit } from '@kasane/protocol/internal/job/fit';
import { floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import { parseObjective } from '@kasane/protocol/internal/job/job-objective';
import { parseSampleFormat, type SampleFormat } from '@kasane/protocol/internal/job/sample-format';
import { type FloatCodec, floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { MathMode } from '@kasane/tensor/backends/backend';
import { precisions, type Rounding } from '@kasane/tensor/internal/optim/rounding';
import { Tally } from '@kasane/tensor/internal/tally';
import { buildModel, type Model, type ModelDescription, type ParameterSpec } from '@kasane/tensor/nn/model';
import { sizeOf } from '@kasane/tensor/shape';
import type { ProgramRequest } from '@kasane/tensor/training';
import { LocalSteps } from './local-steps.ts';

export interface OpenedJob {
  readonly model: Model;
  readonly math: MathMode;
  readonly format: SampleFormat;
  readonly requests: readonly ProgramRequest[];
  /** Undefined: the gradient of every step is exchanged. */
  readonly local: LocalSteps | undefined;
  /** Layout of versions and gradients. */
  readonly exchanged: readonly ParameterSpec[];
  /** How gradients are rounded, and how they and versions are encoded. */
  readonly rounding: Rounding | undefined;
  readonly codec: FloatCodec;
  /** A new tally, for part of a test. */
  tally(): Tally;
}

/** @throws Error if the job cannot be computed here: its model, samples or objective are unknown or invalid */
export function readOpened(opened: JobOpened): OpenedJob {
  const model = buildModel(JSON.parse(opened.model) as ModelDescription);
  const local = opened.localSteps && new LocalSteps(opened.localSteps);
  const exchanged = local?.exchangedOf(model) ?? model.parameters;
  const floats = floatsOf(exchanged);
  if (floats !== opened.parameterCount) {
    const counts = `${floats} parameters here, ${opened.parameterCount} at the coordinator`;
    throw new KasaneError(
      'PROTOCOL',
      `the model of job ${opened.job} has ${counts}: install the same version of Kasane on both`,
    );
  }
  const { math } = opened;
  if (math !== 'exact' && math !== 'fast') {
    throw new KasaneError(
      'PROTOCOL',
      `job ${opened.job} asks for '${math}' arithmetic: expected exact or fast`,
    );
  }
  const precision = precisions.find((one) => one === opened.precision);
  if (!precision)
    throw new KasaneError(
      'PROTOCOL',
      `job ${opened.job} exchanges '${opened.precision}' floats: expected ${precisions.join(', ')}`,
    );
  const rounding = precision === 'f32' ? undefined : { precision, seed: opened.seed };
  const objective = parseObjective(opened.objective);
  const format = parseSampleFormat(opened.samples);
  const mixed = format.mixup !== undefined;
  const memory = opened.memory === 'low' ? 'low' : 'normal';
  const requests = [
    ...opened.trainSamples.map((samples) => ({ mode: 'train', samples, objective, mixed, memory }) as const),
    ...opened.evaluateSamples.map((samples) => ({ mode: 'evaluate', samples, objective }) as const),
  ];
  const why = whyUnfit({ model, objective, format, trainSamples: opened.trainSamples });
  if (why !== undefined) throw new KasaneError('DATA_INVALID', why);
  const codec = floatCodec(exchanged, precision);
  const tally = () => new Tally(objective.type, sizeOf(model.outputShape));
  return { model, math, format, requests, local, exchanged, rounding, codec, tally };
}
