/** The text of a job file. Apart from what a job is (`job.ts`), because YAML takes a while to load, and programs write JSON. */
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import { KasaneError } from './errors.ts';
import { checkJob, type Job } from './job.ts';
import { JOB_FILE_BYTES } from './limits.ts';

/**
 * Parses and checks a job file, YAML or JSON.
 * @param text the file's content
 * @param where what to call the file in messages, such as its path
 * @throws KasaneError JOB_INVALID with file, line, path of the value and what would be right.
 */
export function parseJobFile(text: string, where: string): Job {
  if (Buffer.byteLength(text) > JOB_FILE_BYTES) {
    throw new KasaneError('LIMIT', `${where}: larger than ${JOB_FILE_BYTES} bytes, the limit of a job file`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [fault] = document.errors;
  if (fault) {
    throw new KasaneError('JOB_INVALID', `${where}:${lines.linePos(fault.pos[0]).line}: ${fault.message}`);
  }
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
  return checkJob(document.toJS({ maxAliasCount: 100 }), lineOf);
}
