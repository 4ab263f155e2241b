/** Curves in braille: a character is two dots wide and four high. */

/** Bits of a character's dots, by column and row. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const EMPTY = 0x2800;

export interface Curve {
  /** From top to bottom, each `width` characters. */
  readonly lines: readonly string[];
  readonly least: number;
  readonly greatest: number;
}

/**
 * @param values in equal distances; what is not finite is left out
 * @param width characters
 * @param height lines
 */
export function curve(values: readonly number[], width: number, height: number): Curve {
  const finite = values.filter(Number.isFinite);
  const least = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const greatest = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const cells = Array.from({ length: height }, () => new Uint16Array(width).fill(EMPTY));
  const bottom = 4 * height - 1;
  const rowOf = (value: number) =>
    greatest === least
      ? Math.round(bottom / 2)
      : bottom - Math.round(((value - least) / (greatest - least)) * bottom);
  let before: number | undefined;
  for (let x = 0; x < 2 * width; x++) {
    const value = meanAt(values, x, 2 * width);
    if (value === undefined) {
      before = undefined;
      continue;
    }
    const row = rowOf(value);
    // From the last column's height to this one's, so that a steep curve has no holes.
    const from = before === undefined ? row : before + Math.sign(row - before);
    for (let y = Math.min(from, row); y <= Math.max(from, row); y++)
      cells[y >> 2]![x >> 1]! |= DOTS[x & 1]![y & 3]!;
    before = row;
  }
  return { lines: cells.map((line) => String.fromCharCode(...line)), least, greatest };
}

/** The mean of the values that fall into column `x` of so many; where there are fewer values than columns, the nearest one. */
function meanAt(values: readonly number[], x: number, columns: number): number | undefined {
  const start = Math.floor((x * values.length) / columns);
  const end = Math.max(start + 1, Math.floor(((x + 1) * values.length) / columns));
  const some = values.slice(start, end).filter(Number.isFinite);
  return some.length === 0 ? undefined : some.reduce((a, b) => a + b) / some.length;
}
