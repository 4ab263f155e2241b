/** The machine's list of processes, as everybody on it can read it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Command lines by process id. */
export function commandLines(): Map<number, string> {
  if (process.platform !== 'linux') {
    const lines = execFileSync('ps', ['-ww', '-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
    return new Map(
      lines.map((line) => /^\s*(\d+) (.*)$/.exec(line) ?? []).map(([, id, line]) => [Number(id), line ?? '']),
    );
  }
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(ids.map((id) => [Number(id), commandLine(id)]));
}

/** Empty for one that has ended since. */
function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
