/** The text of a job file. Apart from what a job is (`job.ts`), because YAML takes a while to load, and programs write JSON. */
import { isMap, isSeq } from 'yaml';
import { checkJob, type Job } from './job.ts';
import { type Layer, type OpenExtended, withExtended } from './job-extends.ts';
import { checkSweep, type Sweep } from './job-search.ts';
import { readJobText } from './job-text.ts';

/** Which file a text is, and how those that it extends are opened. */
export interface Opening {
  readonly id: string;
  readonly open: OpenExtended;
}

/**
 * Parses and checks a job file, YAML or JSON.
 * @param text the file's content
 * @param where what to call the file in messages, such as its path
 * @param opening without it, `extends` is refused
 * @throws KasaneError JOB_INVALID with file, line, path of the value and what would be right; LIMIT
 */
export function parseJobFile(text: string, where: string, opening?: Opening): Job {
  const { value, lineOf } = withExtended(readLayer(text, where, opening?.id), opening?.open);
  return checkJob(value, lineOf);
}

/**
 * Parses and checks a sweep file: a job file with a `search` section. Parameters as for job files.
 * @throws KasaneError JOB_INVALID, LIMIT
 */
export function parseSweepFile(text: string, where: string, opening?: Opening): Sweep {
  const { value, lineOf } = withExtended(readLayer(text, where, opening?.id), opening?.open);
  return checkSweep(value, lineOf);
}

/** What one file says, not checked. @throws KasaneError JOB_INVALID, LIMIT */
export function readLayer(text: string, where: string, id = where): Layer {
  const { value, document, lines } = readJobText(text, where);
  const lineOf = (path: readonly PropertyKey[]): string => {
    let node: unknown = document.contents;
    let offset: number | undefined;
    for (const key of path) {
      const pair = isMap(node) ? node.items.find((item) => String(item.key) === String(key)) : undefined;
      const next: unknown = pair ? pair.value : isSeq(node) ? node.items[Number(key)] : undefined;
      const range = (pair?.key ?? next) as { range?: [number, number, number] } | undefined;
      if (!range?.range) break;
      offset = range.range[0];
      node = next;
    }
    return offset === undefined ? where : `${where}:${lines.linePos(offset).line}`;
  };
  return { id, value, lineOf };
}
