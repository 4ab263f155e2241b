/** Where answers go: lines for people, JSON or CSV on standard output, or a CSV file, which is whole or absent. */
import { KasaneError } from '@kasane/protocol/errors';
import { requireWritable } from '../../files/output-file.ts';
import { writeFile } from '../../files/write-file.ts';
import { err, out } from '../../output/say.ts';
import { count } from '../../render/count.ts';
import { csvLine } from '../../render/csv.ts';
import type { Answer } from './answers.ts';

export interface Results {
  add(answer: Answer): void;
  /** All have been added. */
  close(): void;
}

/** @param csv unless there is a file: whether standard output gets CSV @throws KasaneError USAGE where the file cannot be written */
export function resultsTo({ out, json, csv }: { out?: string; json?: boolean; csv: boolean }): Results {
  if (out !== undefined) return toFile(out);
  if (json) return eachLine(({ record }) => [JSON.stringify(record)]);
  return csv ? eachLine(csvLines()) : eachLine(({ line }) => [line]);
}

const eachLine = (linesOf: (answer: Answer) => readonly string[]): Results => ({
  add: (answer) => out.lines(...linesOf(answer)),
  close: () => {},
});

/** The line of an answer, below that of the columns for the first. */
function csvLines(): (answer: Answer) => readonly string[] {
  let isFirst = true;
  return ({ row }) => {
    const head = isFirst ? [csvLine(Object.keys(row))] : [];
    isFirst = false;
    return [...head, csvLine(Object.values(row))];
  };
}

function toFile(path: string): Results {
  requireWritable(path, 'predictions');
  const linesOf = csvLines();
  const lines: string[] = [];
  return {
    add: (answer) => void lines.push(...linesOf(answer)),
    close() {
      if (lines.length === 0)
        throw new KasaneError('DATA_INVALID', `${path} was not written: there are no predictions`);
      writeFile(`${lines.join('\n')}\n`, path);
      err.lines(`${count(lines.length - 1, 'prediction')} written to ${path}`);
    },
  };
}
