/** What measured batch sizes say: pure functions. */

export interface Measured {
  readonly batch: number;
  /** Samples of a shard. */
  readonly shardSamples: number;
  readonly samplesPerSecond: number;
  /** Medians of a step, and of its slowest shard's computation, in milliseconds. */
  readonly stepMs: number;
  readonly computeMs: number;
  /** That were measured. */
  readonly steps: number;
}

/** A step as it was recorded. */
export interface Step {
  /** Counted from 1. */
  readonly step: number;
  readonly stepMs: number;
  readonly computeMs: number;
}

/** Steps that come first: programs are compiled, and queues are empty. */
const EARLY = 2;
/** A batch that is faster by less is not worth being larger. */
const WORTH = 0.05;
/** The speed has stopped rising after so many sizes in a row that are not worth it. */
const NOT_RISING = 2;

/**
 * The speed of a batch size, from its steps: those at the beginning, and the ends and beginnings of epochs, which wait for tests or have
 * fewer samples, are left out. Undefined where none is left.
 */
export function speedOf(
  steps: readonly Step[],
  {
    batch,
    shards,
    stepsPerEpoch,
  }: { readonly batch: number; readonly shards: number; readonly stepsPerEpoch: number },
): Measured | undefined {
  const usual = steps.filter(({ step }) => {
    const place = (step - 1) % stepsPerEpoch;
    return step > EARLY && place > 0 && place < stepsPerEpoch - 1;
  });
  if (usual.length === 0) return undefined;
  const stepMs = median(usual.map((step) => step.stepMs));
  return {
    batch,
    shardSamples: Math.ceil(batch / shards),
    samplesPerSecond: (1000 * batch) / stepMs,
    stepMs,
    computeMs: median(usual.map((step) => step.computeMs)),
    steps: usual.length,
  };
}

/** An epoch must have steps that are neither its first nor its last. */
export const FEWEST_STEPS = 4;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The fastest of them. */
export const fastest = (sizes: readonly Measured[]): Measured | undefined =>
  sizes.reduce<Measured | undefined>(
    (best, one) => (best && best.samplesPerSecond >= one.samplesPerSecond ? best : one),
    undefined,
  );

/** The smallest batch that is nearly as fast as the fastest. */
export function suggested(sizes: readonly Measured[]): Measured | undefined {
  const best = fastest(sizes);
  return (
    best && sizes.find(({ samplesPerSecond }) => samplesPerSecond >= (1 - WORTH) * best.samplesPerSecond)
  );
}

/** Whether larger batches are no longer faster. */
export function hasStopped(sizes: readonly Measured[]): boolean {
  const before = fastest(sizes.slice(0, -NOT_RISING));
  const last = fastest(sizes.slice(-NOT_RISING));
  return (
    before !== undefined &&
    last !== undefined &&
    last.samplesPerSecond < (1 + WORTH) * before.samplesPerSecond
  );
}
