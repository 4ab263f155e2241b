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
  /** One of them, without making all; undefined where the step has no such shard. */
  shard(stepInEpoch: number, shard: number): Range | undefined;
  /** Every size that a shard has, largest first. */
  shardSizes(): number[];
}

/** Cuts samples into parts whose sizes differ by one at most, larger ones first; fewer parts where there are fewer samples. */
export function cut(range: Range, parts: number): Range[] {
  const count = Math.min(parts, range.end - range.start);
  return Array.from({ length: count }, (_, part) => partOf(range, count, part));
}

/** One of the parts, of which there are no more than samples. */
function partOf({ start, end }: Range, count: number, part: number): Range {
  const size = end - start;
  const edge = (index: number) => start + index * Math.floor(size / count) + Math.min(index, size % count);
  return { start: edge(part), end: edge(part + 1) };
}

/** The last batch of an epoch takes what is left, and has fewer shards when it has fewer samples than shards. */
export function planEpoch(options: { samples: number; batch: number; shards: number }): EpochPlan {
  const { samples, batch, shards } = options;
  const stepsPerEpoch = Math.ceil(samples / batch);
  const batchOf = (stepInEpoch: number): Range => {
    if (!(stepInEpoch >= 0 && stepInEpoch < stepsPerEpoch))
      throw new RangeError(`step ${stepInEpoch} of ${stepsPerEpoch}`);
    const start = stepInEpoch * batch;
    return { start, end: Math.min(samples, start + batch) };
  };
  const plan: EpochPlan = {
    stepsPerEpoch,
    shards: (stepInEpoch) => cut(batchOf(stepInEpoch), shards),
    shard(stepInEpoch, shard) {
      const range = batchOf(stepInEpoch);
      const count = Math.min(shards, range.end - range.start);
      return shard >= 0 && shard < count ? partOf(range, count, shard) : undefined;
    },
    shardSizes() {
      const ranges = [...plan.shards(0), ...plan.shards(stepsPerEpoch - 1)];
      return [...new Set(ranges.map(({ start, end }) => end - start))].sort((a, b) => b - a);
    },
  };
  return plan;
}

/** How many local steps an epoch has, and a round at most. */
export interface RoundPlan {
  readonly stepsPerEpoch: number;
  readonly every: number;
}

/** The local steps of a round, of which an epoch has ceil(stepsPerEpoch / every). Rounds and steps count from 0 over the whole run. */
export function stepsOfRound(
  round: number,
  { stepsPerEpoch, every }: RoundPlan,
): { readonly first: number; readonly count: number } {
  const rounds = Math.ceil(stepsPerEpoch / every);
  const before = (round % rounds) * every;
  const first = Math.floor(round / rounds) * stepsPerEpoch + before;
  return { first, count: Math.min(every, stepsPerEpoch - before) };
}

/** Consecutive ranges of at most `shardSamples` test samples. */
export function planEvaluation(options: { samples: number; shardSamples: number }): readonly Range[] {
  const { samples, shardSamples } = options;
  return Array.from({ length: Math.ceil(samples / shardSamples) }, (_, shard) => ({
    start: shard * shardSamples,
    end: Math.min(samples, (shard + 1) * shardSamples),
  }));
}
