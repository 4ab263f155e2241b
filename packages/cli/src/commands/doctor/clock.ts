/** How far clocks of different machines are apart. */

/** Beyond this somebody should set one, in milliseconds. */
const APART_MS = 5_000;

/**
 * How far another clock is ahead of this machine's, in milliseconds; negative when it is behind. What the time that the answer took
 * could explain counts for nothing.
 * @param theirs what it said, in milliseconds since 1970
 * @param asked when it was asked, by this machine's clock
 * @param answered when it had answered
 */
export function clockAhead(theirs: number, asked: number, answered: number): number {
  if (theirs >= asked && theirs <= answered) return 0;
  return theirs < asked ? theirs - asked : theirs - answered;
}

/** For people: what is wrong with a clock, and what to do; undefined when nothing is. */
export function clockTrouble(aheadMs: number): { found: string; todo: string } | undefined {
  if (Math.abs(aheadMs) < APART_MS) return undefined;
  const seconds = `${Math.round(Math.abs(aheadMs) / 1000)} s`;
  return {
    found: `its clock is ${seconds} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`,
    todo: 'tokens and certificates expire by the clock: synchronize both machines with a time server',
  };
}
