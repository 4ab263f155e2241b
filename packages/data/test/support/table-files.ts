/** Tables and series of a test, written to a folder of its own and read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { readSeries, type SeriesOptions } from '../../src/series/series.ts';
import { type CsvOptions, readCsv } from '../../src/tables/csv.ts';

/** To be called at the top of a test file: the folder goes with its last test. */
export function tableFiles() {
  const folder = mkdtempSync(join(tmpdir(), 'kasane-table-files-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  let made = 0;
  const write = (content: string | Uint8Array, name = `t${made++}.csv`) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const table = (content: string | Uint8Array, options: Partial<CsvOptions> = {}) =>
    readCsv({
      ...{ format: 'csv', path: write(content), validation: 0.25, seed: 1, target: 'kind', columns: {} },
      ...{ task: 'classification', standardize: false, standardizeTarget: false },
      ...{ missing: 'fail', onDamaged: 'fail' },
      ...options,
    });
  const series = (content: string | Uint8Array, options: Partial<SeriesOptions> = {}) =>
    readSeries({
      ...{ format: 'series', path: write(content), window: 2, horizon: 1, stride: 1, validation: 0.25 },
      ...{ standardize: false, missing: 'fail', onDamaged: 'fail' },
      ...options,
    });
  return { write, table, series };
}

/** So many rows, each ended. */
export const lines = (count: number, row: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => `${row(i)}\n`).join('');
