/** How many addresses this process may use: V8 reserves 10 GB of them for each WebAssembly memory, however small it is. */
import { readFileSync } from 'node:fs';

/** Bytes of `ulimit -v`; undefined where there is no limit, or the system does not say so in a file. */
export function addressSpaceLimit(): number | undefined {
  try {
    const soft = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
