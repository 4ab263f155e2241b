/** Columns that tell the target by themselves: a model that has them learns nothing else, and new rows will hardly have them. */

interface Row {
  readonly fields: readonly string[];
}

/** Of fewer rows, two columns may agree by chance. */
const FEWEST = 20;

/**
 * Columns with a value of their own for each value of the target, and no other.
 * @param target place of the column that is predicted
 * @param places of the columns that go in
 */
export function leaksOf(rows: readonly Row[], target: number, places: readonly number[]): number[] {
  if (rows.length < FEWEST) return [];
  return places.filter((place) => {
    const [there, back] = [new Map<string, string>(), new Map<string, string>()];
    for (const { fields } of rows) {
      const [value, goal] = [fields[place]!, fields[target]!];
      if ((there.get(value) ?? goal) !== goal || (back.get(goal) ?? value) !== value) return false;
      there.set(value, goal);
      back.set(goal, value);
    }
    // Where each row has a value of its own, so has any other column of that kind; a copy is one all the same.
    return there.size > 1 && (there.size < rows.length / 2 || [...there].every(([a, b]) => a === b));
  });
}
