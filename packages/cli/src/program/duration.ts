/** Spans of time as they are typed: 90d, 12h, 30m. */
import { InvalidArgumentError } from 'commander';

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a span. @returns milliseconds. @throws InvalidArgumentError */
export function span(text: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const ms = Number(count) * (units[unit ?? ''] ?? Number.NaN);
  if (ms > 0) return ms;
  throw new InvalidArgumentError('Expected a duration such as 30m, 12h or 90d');
}
