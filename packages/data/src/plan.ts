/** How an epoch is cut: global batches of consecutive samples of its permutation, each cut into shards. */

/** Samples start..end-1 of an epoch's permutation. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface EpochPlan {
  readonly stepsPerEpoch: number;
  /** Shards of a step of the epoch, counted from 0. Sizes differ by one at most, larger ones first; none is empty. */
  shards(stepInEpoch: number): readonly Range[];
  /** Every size that a shard has, largest first. */
  shardSizes(): number[];
}

/** Cuts samples into parts whose sizes differ by one at most, larger ones first; fewer parts where there are fewer samples. */
export function cut({ start, end }: Range, parts: number): Range[] {
  const size = end - start;
  const count = Math.min(parts, size);
  const edge = (part: number) => start + part * Math.floor(size / count) + Math.min(part, size % count);
  return Array.from({ length: count }, (_, part) => ({ start: edge(part), end: edge(part + 1) }));
}

/** The last batch of an epoch takes what is left, and has fewer shards when it has fewer samples than shards. */
export function planEpoch(options: { samples: number; batch: number; shards: number }): EpochPlan {
  const { samples, batch, shards } = options;
  const stepsPerEpoch = Math.ceil(samples / batch);
  const plan: EpochPlan = {
    stepsPerEpoch,
    shards(stepInEpoch) {
      if (!(stepInEpoch >= 0 && stepInEpoch < stepsPerEpoch))
        throw new RangeError(`step ${stepInEpoch} of ${stepsPerEpoch}`);
      const start = stepInEpoch * batch;
      return cut({ start, end: Math.min(samples, start + batch) }, shards);
    },
    shardSizes() {
      const ranges = [...plan.shards(0), ...plan.shards(stepsPerEpoch - 1)];
      return [...new Set(ranges.map(({ start, end }) => end - start))].sort((a, b) => b - a);
    },
  };
  return plan;
}

/** Consecutive ranges of at most `shardSamples` test samples. */
export function planEvaluation(options: { samples: number; shardSamples: number }): readonly Range[] {
  const { samples, shardSamples } = options;
  return Array.from({ length: Math.ceil(samples / shardSamples) }, (_, shard) => ({
    start: shard * shardSamples,
    end: Math.min(samples, (shard + 1) * shardSamples),
  }));
}
