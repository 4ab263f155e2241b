/** An error of numbers that training has scaled to mean 0 and standard deviation 1: what its unit is. */
import type { Preparation } from '@kasane/data/dataset';

/** Such as " standard deviations of 'price' (20120 in its units)"; empty where the targets are as the data has them. */
export function unitOf({ table, series }: Preparation, error: number): string {
  const scaled = table?.targets ?? series?.columns.filter(({ name }) => series.targets.includes(name)) ?? [];
  if (scaled.every(({ mean, std }) => mean === 0 && std === 1)) return '';
  const [first, ...others] = scaled;
  if (others.length > 0) return ' standard deviations of the targets';
  return ` standard deviations of '${first!.name}' (${Number((error * first!.std).toPrecision(4))} in its units)`;
}
