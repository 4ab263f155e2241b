/** `kasane status`: a cluster at one glance. */

import type { ClientOptions } from '@kasane/protocol/client';
import { jobRecord } from '@kasane/protocol/internal/job/job-record';
import { out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { count } from '../../render/count.ts';
import { jobTable } from '../../render/job.ts';

/** Ended jobs that are shown. */
const RECENT = 5;
const active = new Set(['queued', 'running', 'paused']);

export async function status(options: ClientOptions & { readonly json?: boolean }): Promise<void> {
  const [cluster, jobs] = await withClient(options, (client) =>
    Promise.all([client.status(), client.list()]),
  );
  const { version, uptimeMs, workers } = cluster;
  const open = jobs.filter((job) => active.has(jobRecord(job).state));
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = workers.reduce((sum, worker) => sum + worker.tasksHeld, 0);
  if (options.json) {
    const record = {
      coordinator: options.coordinator,
      version,
      uptimeSeconds: uptimeMs / 1000,
      workers: workers.length,
      slots,
      tasksHeld: busy,
      jobs: open.map(jobRecord),
      ended: jobs.length - open.length,
    };
    out.lines(JSON.stringify(record));
    return;
  }
  const shown = [...open, ...jobs.filter((job) => !open.includes(job)).slice(0, RECENT)];
  const waits = open.flatMap(({ id, waitingFor }) =>
    waitingFor ? [`${id} is waiting: ${waitingFor.text}`] : [],
  );
  const lines = [
    `Coordinator  ${version} at ${options.coordinator}, up ${duration(uptimeMs)}`,
    `Workers      ${workers.length} with ${count(slots, 'slot')}, ${count(busy, 'task')} held`,
    `Jobs         ${open.length} open, ${jobs.length - open.length} ended`,
    ...waits,
    ...(shown.length > 0 ? ['', ...jobTable(shown).split('\n')] : []),
  ];
  out.lines(...lines);
}

/** 3 d 4 h, 2 h 5 min, 7 min, 12 s. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [86_400, 3600, 60].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
