/** Options that layers with windows share: convolutions and pooling. Each says in its own words what is particular to it. */

/** Of a window and its places, in rows, columns or steps. */
const MOST = 4096;

type Kind = 'integer' | 'pair';

export const filters = {
  kind: 'integer',
  minimum: 1,
  maximum: 65536,
  describe: 'Number of output channels.',
} as const;

export const groups = {
  kind: 'integer',
  minimum: 1,
  maximum: 65536,
  default: 1,
  describe: 'Groups of channels that are convolved separately; one per channel is a depthwise convolution.',
} as const;

export const bias = { kind: 'boolean', default: true, describe: 'Whether to add a trained bias.' } as const;

/** Of images. */
export const windowSize = {
  kind: 'pair',
  minimum: 1,
  maximum: MOST,
  describe: 'Height and width of the window.',
} as const;

export const strideOf = <const K extends Kind>(kind: K, describe = 'Distance from one window to the next.') =>
  ({ kind, minimum: 1, maximum: MOST, default: 1, describe }) as const;

export const dilationOf = <const K extends Kind>(kind: K) =>
  ({
    kind,
    minimum: 1,
    maximum: MOST,
    default: 1,
    describe: 'Distance from one element of a window to the next.',
  }) as const;

/** Rows, columns or steps, of which there may be none: 0 is the default. */
export const noneOrMore = <const K extends Kind>(kind: K, describe: string) =>
  ({ kind, minimum: 0, maximum: MOST, default: 0, describe }) as const;

/** Of sequences. */
export const windowLength = {
  kind: 'integer',
  minimum: 1,
  maximum: MOST,
  describe: 'Steps in the window.',
} as const;
