/** A job on a small table, for tests of the command that trains it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes `t.csv`, of 400 rows, and `job.json` to a folder. Returns the job file's path. */
export function smallTableJob(folder: string, epochs: number): string {
  const rows = Array.from({ length: 400 }, (_, i) => `${i},${(i * 7) % 13},${i % 2 ? 'odd' : 'even'}`);
  writeFileSync(join(folder, 't.csv'), `a,b,y\n${rows.join('\n')}\n`);
  const job = {
    name: 't',
    model: { preset: 'tabular', features: 2, task: 'classification', outputs: 2 },
    data: { format: 'csv', path: join(folder, 't.csv'), target: 'y', task: 'classification' },
    training: { epochs, batch: 64 },
  };
  const path = join(folder, 'job.json');
  writeFileSync(path, JSON.stringify(job));
  return path;
}
