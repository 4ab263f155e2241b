/** Clusters in which gradients travel, between workers or through the coordinator, and jobs in them. */
import type { ChildProcess } from 'node:child_process';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect } from 'vitest';
import { type CleanUp, TestCluster } from './cluster.ts';

export interface ExchangeCluster {
  readonly cluster: TestCluster;
  readonly children: readonly ChildProcess[];
}

/** A cluster of workers that do not share memory with its coordinator. */
export async function exchangeCluster(
  cleanUp: CleanUp,
  workers: number,
  exchange: 'coordinator' | 'workers',
): Promise<ExchangeCluster> {
  const cluster = new TestCluster(cleanUp, { exchange });
  await cluster.start();
  const children: ChildProcess[] = [];
  for (let i = 0; i < workers; i++) children.push(await cluster.worker(1, { sharedMemory: false }));
  return { cluster, children };
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
