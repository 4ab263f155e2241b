/** "Did you mean": the names nearest to one that does not exist. */

/** Number of letters to insert, delete, replace or swap with their neighbour to get from one to the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replace = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      }
      rows[i]![j] = best;
    }
  }
  return rows[a.length]![b.length]!;
}

/** `; did you mean 'dense'? (dense, dropout, ...)`: the close ones first, then all there are. */
export function suggest(given: string, names: readonly string[]): string {
  const clipped = given.slice(0, 64).toLowerCase();
  const close = names
    .map((name) => ({ name, away: distance(clipped, name.toLowerCase()) }))
    .filter(({ name, away }) => away <= Math.max(1, Math.floor(name.length / 2)))
    .sort((a, b) => a.away - b.away)
    .slice(0, 2)
    .map(({ name }) => `'${name}'`);
  const hint = close.length > 0 ? `; did you mean ${close.join(' or ')}? Available` : '; available';
  return `${hint}: ${names.join(', ') || 'none'}`;
}
