import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import stringWidth from 'string-width';

/** Rows of cells under a head, in columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map(printableLine));
  const widths = head.map((_, column) => Math.max(...all.map((row) => stringWidth(row[column]!))));
  const padded = (cell: string, width: number) => cell + ' '.repeat(width - stringWidth(cell));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => padded(cell, widths[column]!)).join('  ');
  return all.map((row) => line(row).trimEnd()).join('\n');
}

/** A moment as tables show it: 2026-01-31 23:59:59, in the time of this machine, as logs have it. Sweden writes it so. */
export const moment = (iso: string) => new Date(iso).toLocaleString('sv');

/** Characters of one value: it may be a whole list of layers. */
const VALUE_TEXT = 40;

/** A value of a job file in a cell. */
export function briefly(value: unknown): string {
  if (value === undefined) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > VALUE_TEXT ? `${text.slice(0, VALUE_TEXT - 3)}...` : text;
}
