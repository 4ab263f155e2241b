/**
 * `npm run screenshots -- [FOLDER]`: pictures of every view of the page, at three widths, light and dark, over a cluster that
 * really trains. For people to look at after a change; nothing compares them. Default folder: .kasane/screenshots.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDashboard } from '@kasane/dashboard/server';
import { chromium, type Page } from 'playwright-core';
import { LoadChild } from './load/child.ts';
import { loadJob } from './load/job.ts';
import { browserFlags, browserPath } from './support/browser.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { drawThree } from './support/draw.ts';

const folder = process.argv[2] ?? '.kasane/screenshots';
const WIDTHS = [360, 1280, 3840];
const HEIGHTS: Readonly<Record<number, number>> = { 360: 800, 1280: 900, 3840: 2160 };

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);

function textFile(): string {
  const path = join(temporaryDirectory(cleanUp), 'text.txt');
  const words = ['the whale ', 'the sea ', 'a ship ', 'sails on ', 'and on. '];
  writeFileSync(
    path,
    Array.from({ length: 3000 }, (_, i) => words[(i * 7 + (i >> 3)) % words.length]).join(''),
  );
  return path;
}

const training = { batch: 100, shards: 4, learningRate: 0.002 };
const evaluation = { shardSamples: 250 };
const jobs = (data: object, text: string) => ({
  mlp: {
    name: 'mlp',
    model: { preset: 'mnist-mlp' },
    data,
    training: { ...training, epochs: 8 },
    evaluation,
  },
  gpt: {
    name: 'gpt',
    model: { preset: 'gpt', tokens: 32, context: 24, width: 32, depth: 2, heads: 4 },
    data: { format: 'text', path: text, context: 24 },
    training: { ...training, batch: 32, shards: 2, epochs: 2 },
    evaluation,
  },
  vanishing: {
    name: 'vanishing',
    model: {
      input: [784],
      classes: 10,
      layers: [
        ...Array.from({ length: 7 }, () => [{ type: 'dense', units: 24 }, { type: 'sigmoid' }]).flat(),
        { type: 'dense', units: 10 },
      ],
    },
    data,
    training: { ...training, epochs: 4, learningRate: 0.0001 },
    evaluation,
  },
  cnn: {
    name: 'cnn',
    model: { preset: 'mnist-cnn' },
    data,
    training: { ...training, epochs: 200 },
    evaluation,
  },
});

async function shoot(page: Page, name: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: HEIGHTS[width]! });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      // Charts take their new size and colours a frame later.
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      );
      await page.waitForTimeout(400);
      await page.screenshot({
        path: join(folder, `${name}-${width}-${colorScheme}.png`),
        fullPage: width < 3000,
      });
    }
  }
}

/** The cluster's view, of two hundred that work. */
async function manyWorkers(page: Page): Promise<void> {
  const children = [1, 2, 3, 4].map(
    () =>
      new LoadChild('./workers.ts', {
        coordinator: cluster.address,
        workers: 50,
        sharedMemory: true,
        pauseMs: 300,
      }),
  );
  cleanUp.add(() => Promise.all(children.map((child) => child.end())));
  await Promise.all(children.map((child) => child.ready()));
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(loadJob(temporaryDirectory(cleanUp), 200, 100_000)));
  for await (const { epoch } of client.watch(id)) if (epoch >= 2) break;
  client.close();
  await page.goto(`${page.url().split('#')[0]}#/cluster`);
  await page.locator('article.worker').nth(199).waitFor();
  await page.locator('svg.waterfall').waitFor();
}

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await cluster.start();
  const workers = [await cluster.worker(), await cluster.worker(), await cluster.worker()];
  const dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
  const data = { path: smallMnist(temporaryDirectory(cleanUp), 4000, 500) };
  const { mlp, gpt, vanishing, cnn } = jobs(data, textFile());
  const ids: Record<string, string> = {};
  for (const job of [mlp, gpt, vanishing]) ids[job.name] = (await cluster.run(job)).id;
  const { client } = cluster;
  ids.cnn = await client.submit(JSON.stringify(cnn));
  await client.submit(JSON.stringify({ ...mlp, name: 'queued' }));
  cleanUp.add(() => client.close());
  const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
  cleanUp.add(() => browser.close());
  const page = await browser.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${error.message}\n`));
  page.on('console', (message) => message.type() === 'error' && process.stderr.write(`${message.text()}\n`));
  for await (const { epoch } of client.watch(ids.cnn)) if (epoch >= 2) break;
  workers[2]!.kill('SIGKILL');

  const go = (hash: string) => page.goto(`${dashboard.url}/${hash}`);
  await go('#/jobs');
  await page.locator('article.job').nth(4).waitFor();
  await shoot(page, 'jobs');
  await page.getByRole('button', { name: 'New job' }).click();
  await shoot(page, 'submit');
  await go('#/cluster');
  await page.reload();
  await page.locator('svg.waterfall').waitFor();
  await shoot(page, 'cluster');
  await go(`#/job/${ids.mlp}`);
  await page.locator('.chart canvas').first().waitFor();
  await page.locator('summary', { hasText: 'Compare' }).click();
  await page.locator('.choices input').first().check();
  await page.locator('input[type=range]').fill('0.8');
  await shoot(page, 'curves');
  await go(`#/job/${ids.cnn}/layers`);
  await page.locator('[data-pictures=filters] canvas').waitFor();
  await shoot(page, 'layers-cnn');
  await go(`#/job/${ids.mlp}/layers`);
  await page.locator('[data-pictures=filters] canvas').waitFor();
  await shoot(page, 'layers-mlp');
  await go(`#/job/${ids.vanishing}/layers`);
  await page.locator('[data-pictures=maps] canvas').waitFor();
  await shoot(page, 'layers-vanishing');
  await go(`#/job/${ids.gpt}/layers`);
  await page.locator('.plate[data-type=transformerBlock]').first().click();
  await page.locator('[data-pictures=attention] canvas').waitFor();
  await shoot(page, 'layers-attention');
  await go(`#/job/${ids.mlp}/try`);
  await page.locator('canvas.pad').waitFor();
  await drawThree(page);
  await page.locator('.guess').waitFor();
  await shoot(page, 'try');
  await page.locator('#language').click();
  await page.locator('canvas.pad').waitFor();
  await shoot(page, 'try-japanese');
  await go('#/jobs');
  await page.locator('article.job').nth(4).waitFor();
  await shoot(page, 'jobs-japanese');
  await go(`#/job/${ids.cnn}`);
  await page.locator('.chart canvas').first().waitFor();
  await shoot(page, 'curves-japanese');
  await go(`#/job/${ids.vanishing}/layers`);
  await page.locator('[data-pictures=maps] canvas').waitFor();
  await shoot(page, 'layers-japanese');
  await client.cancel(ids.cnn);
  await manyWorkers(page);
  await shoot(page, 'workers-japanese');
  await page.locator('#language').click();
  await page.locator('svg.waterfall').waitFor();
  await shoot(page, 'workers');
}

try {
  await main();
  process.stdout.write(`Screenshots in ${folder}\n`);
} finally {
  await cleanUp.run();
}
