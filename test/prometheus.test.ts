/** A real Prometheus with the configuration of the examples, and every query of Grafana's dashboard and of the alerts. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { CoordinatorClient } from '@kasane/protocol/client';
import { startWorker } from '@kasane/worker/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';
import { needing, programPath } from './support/needs.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const examples = join(checkout, 'examples/monitoring');

interface Series {
  readonly metric: Readonly<Record<string, string>>;
}

describe('Prometheus', needing(['prometheus']), () => {
  /** host:port of the coordinator's and the worker's metrics, and of Prometheus. */
  const targets: string[] = [];
  let prometheus = '';
  const ids: string[] = [];

  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`http://${prometheus}/api/v1/${path}`);
    const { status, error, data } = (await response.json()) as { status: string; error?: string; data: T };
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  const ask = async (query: string): Promise<Series[]> =>
    (await get<{ result: Series[] }>(`query?query=${encodeURIComponent(query)}`)).result;

  beforeAll(async () => {
    const redis = await startRedis({ url: process.env.REDIS_URL });
    cleanUp.add(() => redis.close());
    const log = pino(
      {},
      {
        write: (line: string) => {
          const url = /^metrics at http:\/\/(\S+)\/metrics$/.exec(String(JSON.parse(line).msg))?.[1];
          if (url) targets.push(url);
        },
      },
    );
    const metrics = { port: 0 };
    const coordinator = await startCoordinator({
      ...{ host: '127.0.0.1', port: 0, redisUrl: redis.url, metrics, log },
      stateDirectory: temporaryDirectory(cleanUp),
    });
    cleanUp.add(() => coordinator.close());
    const worker = await startWorker({ coordinator: coordinator.address, slots: 1, metrics, log });
    cleanUp.add(() => worker.close());
    const client = new CoordinatorClient({ coordinator: coordinator.address });
    cleanUp.add(() => client.close());
    const data = { path: smallMnist(temporaryDirectory(cleanUp), 500, 100) };
    for (const name of ['first', 'second']) {
      const training = { epochs: 100_000, batch: 100, shards: 1 };
      ids.push(await client.submit(JSON.stringify({ name, model: { preset: 'mnist-mlp' }, data, training })));
    }
    await startPrometheus();
  });

  async function startPrometheus(): Promise<void> {
    const folder = temporaryDirectory(cleanUp);
    const file = join(folder, 'prometheus.yml');
    copyFileSync(join(examples, 'alerts.yml'), join(folder, 'alerts.yml'));
    const text = readFileSync(join(examples, 'prometheus.yml'), 'utf8')
      .replace(/targets: .*/, `targets: ${JSON.stringify(targets)}`)
      .replace('scrape_interval: 5s', 'scrape_interval: 1s');
    writeFileSync(file, text);
    const child = spawn(
      programPath('prometheus')!,
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    cleanUp.add(async () => {
      if (child.exitCode === null && child.kill()) await once(child, 'exit');
    });
    prometheus = await new Promise<string>((resolve, reject) => {
      let output = '';
      child.stderr.on('data', (piece: Buffer) => {
        output += piece;
        const address = /"Listening on" address=(127\.0\.0\.1:\d+)/.exec(output)?.[1];
        if (address) resolve(address);
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(output)));
    });
  }

  it('accepts the configuration and its alerts', () => {
    const promtool = (...args: string[]) =>
      execFileSync(programPath('promtool')!, args, { encoding: 'utf8' });
    expect(promtool('check', 'config', join(examples, 'prometheus.yml'))).toMatch(/5 rules found/);
  });

  it('answers every query of the dashboard, with a curve for each job', async () => {
    const { panels } = JSON.parse(readFileSync(join(examples, 'grafana-dashboard.json'), 'utf8')) as {
      panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
    };
    for (const { title, targets } of panels) {
      for (const { expr, legendFormat } of targets) {
        const legend = (labels: Series['metric']) =>
          legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? 'no label');
        const legends = async () => (await ask(expr)).map(({ metric }) => legend(metric)).sort();
        const about = `${title}: ${expr}`;
        if (expr.startsWith('kasane_job_'))
          await expect
            .poll(legends, { message: about, timeout: 60_000 })
            .toEqual(ids.map((id) => legend({ job_id: id })).sort());
        else await expect.poll(legends, { message: about, timeout: 60_000 }).not.toEqual([]);
        const all = await legends();
        expect(all.join(), about).not.toContain('no label');
        expect(new Set(all).size, about).toBe(all.length);
      }
    }
  });

  it('knows every metric of the alerts, none of which fires where all is well', async () => {
    const { groups } = await get<{ groups: { rules: { name: string; query: string }[] }[] }>('rules');
    const documented = readFileSync(join(checkout, 'docs/monitoring.md'), 'utf8');
    for (const { name, query } of groups.flatMap(({ rules }) => rules)) {
      expect(documented).toContain(`\`${name}\``);
      for (const [metric] of query.matchAll(/\b(?:kasane_\w+|up)\b/g))
        expect(await ask(metric), metric).not.toEqual([]);
      expect(await ask(query), name).toEqual([]);
    }
  });
});
