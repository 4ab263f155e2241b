/**
 * Checkpoints and model files: safetensors, with what resuming needs in the metadata. Floats are copied a few megabytes per turn of the
 * event loop, to keep it responsive.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Preparation } from '@kasane/data/dataset';
import { KasaneError } from '@kasane/protocol/errors';
import { exchangedOf } from '@kasane/protocol/internal/job/job-exchange';
import type { Job } from '@kasane/protocol/job';
import type { DataSpec } from '@kasane/protocol/job-data';
import { beginModelFile } from '@kasane/tensor/io/model-file';
import { beginSafetensors, decodeSafetensors } from '@kasane/tensor/io/safetensors';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import { AVERAGE } from '@kasane/tensor/optim/updater';
import type { DataIdentity } from '../submit/data-identity.ts';
import { readWhole } from './files.ts';
import { RESULT_DEFINITION } from './result-definition.ts';

/** Where a run is between two steps. Sums cover the steps of the current epoch. */
export interface Position {
  readonly step: number;
  readonly lossSum: number;
  readonly metricSum: number;
  readonly counted: number;
  /** Divisor of lossSum; absent: counted. */
  readonly weight?: number;
  /** Steps skipped so far because of non-finite numbers; absent: none. */
  readonly leftOut?: number;
  /** The data it was trained on; absent in checkpoints of earlier versions. */
  readonly data?: DataIdentity;
  /** Version of the result definition it was trained with, once in a checkpoint; absent for version 1. */
  readonly definition?: number;
}

/** What the parameter server holds: flat layouts, one float32 per parameter. */
export interface Weights {
  readonly parameters: Float32Array;
  readonly state: ReadonlyMap<string, Float32Array>;
}

/** The weights to use a run with: the moving averages, if the job keeps them. */
export const valuesOf = ({ parameters, state }: Weights): Float32Array => state.get(AVERAGE) ?? parameters;

const STATE_PREFIX = 'optimizer.';
/** Floats copied per turn. */
const PIECE = 1 << 20;

/**
 * The weights alone, as a file for any safetensors reader. Its bytes depend only on job and weights, so equal training gives equal
 * digests.
 */
export function encodeModel(
  { spec, model, objective }: Job,
  preparation: Preparation,
  parameters: Float32Array,
  step: number,
): Promise<Uint8Array> {
  return inTurns(
    beginModelFile({
      model,
      // Without the state of replicas.
      parameters: parameters.subarray(0, model.parameterCount),
      about: {
        ...{ job: spec.name, step, seed: spec.training.seed },
        ...{ objective, preparation, data: withoutPlaces(spec.data) },
      },
    }),
  );
}

async function inTurns({ file, pieces }: ReturnType<typeof beginSafetensors>): Promise<Uint8Array> {
  for (const _ of pieces) await nextTurn();
  return file;
}

/** A data section without what applies to one machine only: equal training elsewhere gives the same bytes. */
const withoutPlaces = (data: DataSpec): object =>
  Object.fromEntries(Object.entries(data).filter(([name]) => !['path', 'test', 'route'].includes(name)));

/** Encodes a checkpoint file. The weights must not change until it resolves. */
export function encodeCheckpoint(job: Job, weights: Weights, position: Position): Promise<Uint8Array> {
  const exchanged = exchangedOf(job);
  const list = tensors(exchanged, weights.parameters, '');
  for (const [name, values] of weights.state) {
    list.push(...tensors(exchanged, values, `${STATE_PREFIX}${name}/`));
  }
  const written: Position = { ...position, definition: RESULT_DEFINITION };
  return inTurns(beginSafetensors(list, { 'kasane.position': JSON.stringify(written) }));
}

/** Reads a checkpoint into `weights`. Returns its position, or why it cannot be used. */
export async function readCheckpoint(
  path: string,
  digest: string,
  job: Job,
  weights: Weights,
): Promise<Position | { why: string }> {
  const file = await readWhole(path, digest);
  if (!file.bytes) return file;
  const { tensors: list, metadata } = decodeSafetensors(file.bytes, { inPlace: true });
  const byName = new Map(list.map((tensor) => [tensor.name, tensor]));
  const exchanged = exchangedOf(job);
  let copied = 0;
  const fill = async (into: Float32Array, prefix: string) => {
    for (const { name, offset, size } of exchanged) {
      const tensor = byName.get(prefix + name);
      if (tensor?.data.length !== size) {
        throw new KasaneError(
          'FILE_DAMAGED',
          `${path}: tensor '${prefix}${name}' of ${size} numbers is missing`,
        );
      }
      for (let at = 0; at < size; at += PIECE) {
        const piece = tensor.data.subarray(at, at + PIECE);
        into.set(piece, offset + at);
        copied += piece.length;
        if (copied < PIECE) continue;
        await nextTurn();
        copied = 0;
      }
    }
  };
  await fill(weights.parameters, '');
  for (const [name, values] of weights.state) await fill(values, `${STATE_PREFIX}${name}/`);
  return JSON.parse(metadata['kasane.position'] ?? '') as Position;
}

function tensors(parameters: readonly ParameterSpec[], values: Float32Array, prefix: string) {
  return parameters.map(({ name, shape, offset, size }) => ({
    name: prefix + name,
    shape,
    data: values.subarray(offset, offset + size),
  }));
}
