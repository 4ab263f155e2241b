/** Long sums in one invocation: in runs, and in parts of many runs, so that small numbers are not added to large ones. */

const RUN = 256;
const PART = RUN * 64;

export interface LongSum {
  /** Declares the sums; `name` is what the next number is added to. */
  readonly declare: string;
  /** Follows each addition; `count` says, as u32, how many there were before it. */
  readonly carry: (count: string) => string;
  /** Brings all together in `name`. */
  readonly finish: string;
}

/**
 * WGSL of a sum of at most `length` numbers.
 * @param each numbers that are added between two calls of `carry`; the count grows by as many
 */
export function longSum(name: string, length: number, type = 'f32', each = 1): LongSum {
  const zero = `${type}()`;
  const declare = `var ${name} = ${zero};`;
  if (length <= RUN) return { declare, carry: () => '', finish: '' };
  const [part, whole] = [`${name}_part`, `${name}_whole`];
  const when = (count: string, period: number, into: string, from: string) =>
    `if (((${count}) + ${each}u) % ${period}u == 0u) { ${into} += ${from}; ${from} = ${zero}; }`;
  return {
    declare: `${declare} var ${part} = ${zero}; var ${whole} = ${zero};`,
    carry: (count) => `${when(count, RUN, part, name)} ${when(count, PART, whole, part)}`,
    finish: `${name} = ${whole} + (${part} + ${name});`,
  };
}
