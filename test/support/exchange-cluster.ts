/** Clusters in which gradients travel, between workers or through the coordinator, and jobs in them. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect } from 'vitest';
import { type CleanUp, TestCluster } from './cluster.ts';

export interface ExchangeCluster {
  readonly cluster: TestCluster;
  readonly children: readonly ChildProcess[];
  /** Starts a worker that is there for one test. */
  readonly visit: (more?: { readonly peers?: boolean }) => Promise<ChildProcess>;
}

type Way = 'coordinator' | 'workers';

/** A cluster of each way, whose workers do not share memory with its coordinator. They stay for the next test: a start takes longer than a job. */
export class ExchangeClusters {
  readonly #cleanUp: CleanUp;
  readonly #clusters = new Map<Way, Promise<TestCluster>>();
  #workers: readonly ChildProcess[] = [];
  #visitors: ChildProcess[] = [];
  #way: Way | undefined;

  constructor(cleanUp: CleanUp) {
    this.#cleanUp = cleanUp;
  }

  /** The cluster in which gradients go this way, with so many workers and no others. */
  async of(count: number, way: Way): Promise<ExchangeCluster> {
    const cluster = await this.#cluster(way);
    const well = this.#way === way ? this.#workers.filter(isRunning) : [];
    const workers = well.slice(0, count);
    const gone = [...this.#workers, ...this.#visitors].filter((child) => !workers.includes(child));
    await Promise.all(gone.map(ended));
    this.#visitors = [];
    this.#way = way;
    const start = () => cluster.worker(1, { sharedMemory: false });
    workers.push(...(await Promise.all(Array.from({ length: count - workers.length }, start))));
    this.#workers = workers;
    const visit = async (more: { readonly peers?: boolean } = {}) => {
      const visitor = await cluster.worker(1, { sharedMemory: false, ...more });
      this.#visitors.push(visitor);
      return visitor;
    };
    return { cluster, children: [...workers], visit };
  }

  #cluster(way: Way): Promise<TestCluster> {
    let cluster = this.#clusters.get(way);
    if (!cluster) {
      cluster = this.#started(way);
      this.#clusters.set(way, cluster);
    }
    return cluster;
  }

  async #started(way: Way): Promise<TestCluster> {
    const cluster = new TestCluster(this.#cleanUp, { exchange: way });
    await cluster.start();
    return cluster;
  }
}

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null;

async function ended(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/**
 * Runs a job.
 * @param owners act once so many workers exchange gradients
 */
export async function runExchange(
  { cluster }: Pick<ExchangeCluster, 'cluster'>,
  job: object,
  owners = 2,
  act: (client: CoordinatorClient) => unknown = () => {},
) {
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(job));
  let acted = false;
  for await (const _ of client.watch(id)) {
    const events = acted ? [] : await client.events(id);
    if (!events.some((event) => ownersOf(event) === owners)) continue;
    acted = true;
    await act(client);
  }
  const [now, events] = [await client.get(id), await client.events(id)];
  client.close();
  expect(now.error).toBe('');
  return { now, routes: ways(events), ledger: cluster.ledger(id) };
}

/** How many workers exchange gradients from this event on. */
const ownersOf = ({ reason }: Event): number | undefined =>
  reason?.code === 'exchange-workers' ? (JSON.parse(reason.args) as { workers: number }).workers : undefined;

/** Which ways gradients took, one after the other. */
export const ways = (events: readonly Event[]) =>
  events.flatMap(({ code, reason }) => (code === 'exchange' && reason ? [reason.code] : []));
