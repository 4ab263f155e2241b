/** How large a file of this process may become. */
import { readFileSync } from 'node:fs';

/** Bytes of `ulimit -f`; undefined where there is no limit, or the system does not say so in a file. */
export function fileSizeLimit(): number | undefined {
  try {
    const soft = /^Max file size\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
