/** Which workers exchange gradients: a pure function of who reaches whom, and how fast. */
import { medianOf } from '../steps/median.ts';

/** A worker whose links have less than this part of what links have otherwise would hold up all others. */
const SLOW = 1 / 4;
/** No link is slow that carries as many bytes a second: half of what a gigabit does. */
const FAST = 6e7;

/**
 * The most of these workers that all reach one another, about equally fast: again and again the one goes that misses most, of equals the
 * last; then those whose links are much slower than the others'.
 * @param rateOf bytes a second between two workers; undefined: they do not reach one another
 */
export function closest(
  workers: readonly string[],
  rateOf: (a: string, b: string) => number | undefined,
): string[] {
  let left = [...workers];
  for (;;) {
    const missing = left.map((worker) => left.filter((other) => other !== worker && !rateOf(worker, other)));
    const most = Math.max(0, ...missing.map(({ length }) => length));
    if (most === 0) break;
    const out = missing.findLastIndex(({ length }) => length === most);
    left = left.filter((_, index) => index !== out);
  }
  if (left.length < 3) return left;
  const own = left.map((worker) =>
    medianOf(left.flatMap((other) => (other === worker ? [] : [rateOf(worker, other)!]))),
  );
  const usual = medianOf(own);
  return left.filter((_, index) => own[index]! >= Math.min(FAST, SLOW * usual));
}
