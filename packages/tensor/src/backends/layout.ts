/** Where a session's tensors lie in its memory, and views of them. */
import type { DType } from '../graph.ts';
import type { ProgramMode } from '../training.ts';

/** Where a tensor lies: byte offset and length in elements of four bytes. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** Places of one program, as plain data for other threads. What the program does not have is of length 0. */
export interface ProgramLayout {
  readonly mode: ProgramMode;
  readonly samples: number;
  readonly x: Place;
  readonly labels: Place;
  /** Of the labels: whole classes, or what else an objective has as its target. */
  readonly target: DType;
  readonly sampleIds: Place;
  readonly key: Place;
  readonly lossSum: Place;
  readonly metricSum: Place;
  readonly counted: Place;
  readonly weight: Place;
  readonly logits: Place;
  /** For each stage, the indices of the parameters whose gradients are final after it. */
  readonly stageReady: readonly (readonly number[])[];
}

export interface SessionLayout {
  readonly parameters: Place;
  readonly gradients: Place;
  readonly programs: readonly ProgramLayout[];
}

/** Views of one program's inputs and results: write the inputs, run, read the results. */
export interface ProgramViews {
  readonly x: Float32Array;
  readonly labels: Int32Array;
  /** The same place, for objectives whose targets are f32. */
  readonly targets: Float32Array;
  readonly sampleIds: Uint32Array;
  /** Seed low, seed high, epoch, 0. */
  readonly key: Uint32Array;
  readonly lossSum: Float32Array;
  /** Of the objective's metric: of a classifier, how many are right. */
  readonly metricSum: Float32Array;
  /** Of length 0 where there is one loss a sample. */
  readonly counted: Float32Array;
  /** What the sums are divided by in the end; of length 0 where that is how many losses there are. */
  readonly weight: Float32Array;
  readonly logits: Float32Array;
}

/** Views into the memory that the layout is of. */
export function viewsOf(memory: ArrayBufferLike, layout: ProgramLayout): ProgramViews {
  const f32 = ({ offset, length }: Place) => new Float32Array(memory, offset, length);
  const u32 = ({ offset, length }: Place) => new Uint32Array(memory, offset, length);
  const { labels } = layout;
  return {
    x: f32(layout.x),
    labels: new Int32Array(memory, labels.offset, labels.length),
    targets: f32(labels),
    sampleIds: u32(layout.sampleIds),
    key: u32(layout.key),
    lossSum: f32(layout.lossSum),
    metricSum: f32(layout.metricSum),
    counted: f32(layout.counted),
    weight: f32(layout.weight),
    logits: f32(layout.logits),
  };
}
