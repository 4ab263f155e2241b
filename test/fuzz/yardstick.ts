/** Work of a known size, to compare other work with: limits in milliseconds alone judge the machine. */

/** Objects such as data and requests become. */
const text = JSON.stringify(
  Array.from({ length: 60_000 }, (_, i) => ({ id: i, name: `row ${i}`, values: [i / 7, i / 11, i / 13] })),
);
const GOES = 3;
/** Microseconds that it takes where the limits of tests were set. */
const USUAL_US = 25_000;

/** How many times the usual CPU time this thread takes to parse five megabytes of JSON and sort what is in them; the least of some goes. */
export function slowness(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let go = 0; go < GOES; go++) {
    const before = process.threadCpuUsage();
    const rows = JSON.parse(text) as { name: string; values: number[] }[];
    rows.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (rows.length === 0) throw new Error('nothing was parsed');
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least / USUAL_US;
}
