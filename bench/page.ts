/**
 * The page in headless Chromium: what it weighs, how long it takes to open, and whether it stutters over a large cluster.
 *
 *     pnpm bench page [--rounds 7] [--workers 10,200] [--seconds 10] [--pause 300] [--parts open,cluster]
 *
 * Opened are a line of text from the same server, the list of jobs, and jobs with 10 steps, with 100,000 (of which a coordinator
 * keeps a thousand points), and with ten thousand points (`--max-metric-points 10000`), each in turn, without a cache. Then as many
 * workers as are asked for join, which compute nothing but wait `--pause` milliseconds before each answer, and train a job with a
 * shard for each of them and a thousand points of history, while the page shows it. Workers, coordinator, Redis and Chromium share
 * the cores of this machine: read CPU times of the page's main thread, and frames beside those of an empty page at the same moment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { startDashboard } from '@kasane/dashboard/server';
import { defaultLimits } from '@kasane/protocol/limits';
import type { Browser } from 'playwright-core';
import { LoadChild } from '../test/load/child.ts';
import { EPOCH_STEPS, loadJob } from '../test/load/job.ts';
import { CleanUp, TestCluster, temporaryDirectory } from '../test/support/cluster.ts';
import { longMetrics } from '../test/support/metrics-history.ts';
import { launch, Tab } from './support/chromium.ts';
import { median } from './support/median.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    workers: { type: 'string', default: '10,200' },
    seconds: { type: 'string', default: '10' },
    pause: { type: 'string', default: '300' },
    parts: { type: 'string', default: 'open,cluster' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
/** Charts of a job. */
const CHARTS = 6;
/** Workers of one process. */
const TOGETHER = 50;
const POINTS = 10_000;

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp, { limits: { ...defaultLimits, metricPoints: POINTS } });

/** Starts workers; returns what ends them. */
async function join(workers: number, pauseMs: number): Promise<() => Promise<unknown>> {
  const children: LoadChild[] = [];
  const end = () => Promise.all(children.map((child) => child.end()));
  cleanUp.add(end);
  for (let left = workers; left > 0; left -= TOGETHER) {
    const options = { coordinator: cluster.address, sharedMemory: true, pauseMs };
    const child = new LoadChild('./workers.ts', { ...options, workers: Math.min(left, TOGETHER) });
    children.push(child);
    await child.ready();
  }
  return end;
}

const row = (cells: readonly (string | number)[]) =>
  console.log(
    `| ${cells.map((cell, i) => (i === 0 ? String(cell).padEnd(44) : String(cell).padStart(9))).join(' | ')} |`,
  );
const table = (titles: readonly string[]) => {
  row(titles);
  row(titles.map((_, i) => '-'.repeat(i === 0 ? 44 : 9)));
};
const ms = (list: readonly number[]) => `${median(list).toFixed(0)} ms`;

/** Opens addresses in turn and shows medians. */
async function opening(browser: Browser, url: string): Promise<void> {
  const directory = temporaryDirectory(cleanUp);
  const store = new JobStore(cluster.state);
  const jobs: string[] = [];
  for (const [steps, points] of [
    [10, defaultLimits.metricPoints],
    [100_000, defaultLimits.metricPoints],
    [124_900, POINTS],
  ] as const) {
    const { id } = await cluster.run(loadJob(directory, 1, 1));
    store.setMetrics(id, longMetrics(steps, { points }));
    jobs.push(id);
  }
  store.close();
  const charts = (tab: Tab) => tab.curves(CHARTS);
  const places = [
    { name: 'a line of text', path: '/nothing', done: (tab: Tab) => tab.firstPaint() },
    {
      name: 'list of jobs',
      path: '/#/jobs',
      async done(tab: Tab) {
        await tab.page.locator('article.job').first().waitFor();
        return tab.page.evaluate(() => performance.now());
      },
    },
    { name: 'job of 10 steps', path: `/#/job/${jobs[0]}`, done: charts },
    { name: 'job of 100,000 steps', path: `/#/job/${jobs[1]}`, done: charts },
    { name: 'job of 10,000 points', path: `/#/job/${jobs[2]}`, done: charts },
  ].map((place) => ({
    ...place,
    paint: [] as number[],
    drawn: [] as number[],
    cpu: [] as number[],
    script: [] as number[],
    scripts: [] as number[],
    bytes: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const place of places) {
      const tab = await Tab.open(browser);
      const sizes: Promise<number>[] = [];
      tab.page.on('requestfinished', (request) => {
        if (request.resourceType() !== 'script') return;
        sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
      });
      await tab.page.goto(`${url}${place.path}`);
      place.drawn.push(await place.done(tab));
      place.paint.push(await tab.firstPaint());
      const { task, script } = await tab.busy();
      place.cpu.push(task);
      place.script.push(script);
      const scripts = await Promise.all(sizes);
      place.scripts.push(scripts.length);
      place.bytes.push(scripts.reduce((sum, size) => sum + size, 0));
      await tab.close();
    }
  }
  console.log(`\nMedians of ${rounds}, since the navigation began:\n`);
  table(['', 'painted', 'drawn', 'CPU', 'of it JS', 'scripts', 'bytes']);
  for (const { name, paint, drawn, cpu, script, scripts, bytes } of places)
    row([name, ms(paint), ms(drawn), ms(cpu), ms(script), median(scripts), median(bytes)]);
}

/** A job that trains with a shard for each worker, and looks as if it had done so for long. */
async function longJob(workers: number): Promise<string> {
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(loadJob(temporaryDirectory(cleanUp), workers, 100_000)));
  for await (const { epoch } of client.watch(id)) if (epoch > 0) break;
  const { workers: names } = await client.status();
  await client.pause(id);
  await sleep(1000);
  const metrics = longMetrics(10 * defaultLimits.metricPoints, {
    workers: Array.from({ length: workers }, (_, shard) => names[shard % names.length]!.id),
  });
  // It goes on from its last checkpoint; points of later steps would be forgotten.
  const points = metrics.points.map((point, index) => ({
    ...point,
    step: Math.ceil((EPOCH_STEPS * (index + 1)) / metrics.points.length),
  }));
  const store = new JobStore(cluster.state);
  store.setMetrics(id, { ...metrics, points });
  store.close();
  await client.resume(id, 0);
  for await (const { step } of client.watch(id)) if (step > EPOCH_STEPS + 1) break;
  client.close();
  return id;
}

/** Lets a page run, and shows how it did. */
async function show(name: string, tab: Tab): Promise<void> {
  const { frames, long, busy } = await tab.run(seconds);
  const sorted = [...frames].sort((a, b) => a - b);
  const share = (of: number) => `${((100 * of) / (1000 * seconds)).toFixed(0)} %`;
  row([
    name,
    ms(frames),
    `${sorted[Math.floor(0.99 * sorted.length)]!.toFixed(0)} ms`,
    `${sorted.at(-1)!.toFixed(0)} ms`,
    long.length,
    `${Math.max(0, ...long).toFixed(0)} ms`,
    share(busy.task),
    share(busy.script),
    share(busy.layout),
  ]);
}

async function running(browser: Browser, url: string): Promise<void> {
  let there = 0;
  const switched: (readonly [string, number[]])[] = [];
  console.log(`\n${seconds} s each while the job trains; long are tasks of more than 50 ms:\n`);
  table(['', 'frame', '99th', 'longest', 'long', 'longest', 'CPU', 'JS', 'layout']);
  for (const workers of values.workers.split(',').map(Number)) {
    await join(workers - there, Number(values.pause));
    there = workers;
    const job = await longJob(workers);
    const tab = await Tab.open(browser);
    const empty = await Tab.open(browser);
    await empty.page.goto(`${url}/nothing`);
    await empty.page.bringToFront();
    const of = `${workers} workers`;
    await show(`an empty page, beside ${of}`, empty);
    await empty.close();
    await tab.page.goto(`${url}/#/cluster`);
    await tab.page
      .locator('.worker')
      .nth(workers - 1)
      .waitFor();
    await tab.page.locator('canvas.timeline').waitFor();
    await sleep(2000);
    await show(`cluster of ${of}, at its top`, tab);
    await tab.page.evaluate(() => document.querySelector('svg.waterfall')!.scrollIntoView());
    await show(`cluster of ${of}, its steps`, tab);
    const times: Record<string, number[]> = { jobs: [], job: [], cluster: [] };
    for (let round = 0; round < rounds; round++) {
      times.jobs!.push(await tab.switchTo('#/jobs', 'article.job', 1));
      times.job!.push(await tab.switchTo(`#/job/${job}`, '.chart canvas', CHARTS));
      times.cluster!.push(await tab.switchTo('#/cluster', '.worker', workers));
    }
    for (const [view, list] of Object.entries(times)) switched.push([`to ${view}, ${of}`, list]);
    await tab.switchTo(`#/job/${job}`, '.chart canvas', CHARTS);
    await sleep(2000);
    await show(`curves of ${of}`, tab);
    await tab.close();
    const { client } = cluster;
    await client.cancel(job);
    client.close();
  }
  console.log(`\nFrom one view to another, medians of ${rounds}:\n`);
  for (const [name, list] of switched) console.log(`${name.padEnd(30)} ${ms(list).padStart(8)}`);
}

try {
  await cluster.start();
  const dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
  const browser = await launch();
  cleanUp.add(() => browser.close());
  const parts = values.parts.split(',');
  if (parts.includes('open')) {
    const end = await join(1, 0);
    await opening(browser, dashboard.url);
    await end();
  }
  if (parts.includes('cluster')) await running(browser, dashboard.url);
} finally {
  await cleanUp.run();
}
