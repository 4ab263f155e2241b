/** CPU time of a cluster by role, as Linux counts it for each thread: on a machine whose cores are all in use, a step costs the sum. */
import { readdirSync, readFileSync } from 'node:fs';

export const cpuRoles = [
  'coordinator',
  "coordinator's threads",
  'workers',
  'computation',
  "workers' threads",
  'Redis',
] as const;
export type CpuRole = (typeof cpuRoles)[number];

interface Thread {
  readonly role: CpuRole;
  readonly ms: number;
}

/** By process and thread. Nothing where there is no /proc. */
export type CpuSnapshot = ReadonlyMap<string, Thread>;

/** Of this process, which is the coordinator, and of all that it has started: workers, and Redis. */
export function readCpu(): CpuSnapshot {
  const threads = new Map<string, Thread>();
  const read = (pid: number) => {
    for (const id of namesIn(`/proc/${pid}/task`)) {
      const role = roleOf(pid, Number(id), textOf(`/proc/${pid}/task/${id}/comm`).trim());
      const [ns = 0] = textOf(`/proc/${pid}/task/${id}/schedstat`).split(' ').map(Number);
      if (role) threads.set(`${pid} ${id}`, { role, ms: ns / 1e6 });
      const children = textOf(`/proc/${pid}/task/${id}/children`).split(' ');
      for (const child of children.map(Number)) if (child > 0) read(child);
    }
  };
  read(process.pid);
  return threads;
}

/** Milliseconds between two snapshots; of threads that have ended meanwhile nothing is known. */
export function cpuBetween(before: CpuSnapshot, after: CpuSnapshot): Record<CpuRole, number> {
  const used = Object.fromEntries(cpuRoles.map((role) => [role, 0])) as Record<CpuRole, number>;
  for (const [key, { role, ms }] of after) used[role] += ms - (before.get(key)?.ms ?? 0);
  return used;
}

/** Node gives its threads names; a peer in another language is none of the cluster's. */
function roleOf(pid: number, id: number, name: string): CpuRole | undefined {
  if (pid === process.pid) return id === pid ? 'coordinator' : "coordinator's threads";
  const main = id === pid ? name : textOf(`/proc/${pid}/comm`).trim();
  if (/^(redis|valkey)/.test(main)) return 'Redis';
  if (!/^(node|MainThread)/.test(main)) return undefined;
  if (id === pid) return 'workers';
  return name === 'WorkerThread' ? 'computation' : "workers' threads";
}

/** A thread may end while it is looked at. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
