/** Records as a table of plain text. */
import { duration, type JobRecord, percent, rate } from './record.ts';

export interface Column<T> {
  readonly title: string;
  readonly text: (record: T) => string;
}

export const jobColumns: readonly Column<JobRecord>[] = [
  { title: 'JOB', text: ({ job }) => job },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'EPOCH', text: ({ epoch, epochs }) => `${epoch}/${epochs}` },
  { title: 'LOSS', text: ({ trainLoss, epoch, step }) => (epoch + step > 0 ? trainLoss.toFixed(4) : '-') },
  { title: 'TEST', text: ({ testAccuracy }) => (testAccuracy === null ? '-' : percent(testAccuracy)) },
  { title: 'TIME', text: ({ seconds }) => (seconds > 0 ? duration(seconds) : '-') },
  {
    title: 'NOTE',
    text: ({ error, state, waitingFor, samplesPerSecond }) =>
      error || waitingFor || (state === 'running' ? rate(samplesPerSecond) : ''),
  },
];

/** One line a record under a line of titles; columns two spaces apart. */
export function table<T>(records: readonly T[], columns: readonly Column<T>[]): string {
  const rows = [
    columns.map(({ title }) => title),
    ...records.map((record) => columns.map(({ text }) => text(record))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}
