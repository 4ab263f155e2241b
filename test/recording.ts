/**
 * `npm run recording`: makes the pictures of the README from what really runs. docs/images/start.svg is `npm start` in a terminal,
 * docs/images/page.png the page of a job that trains. Nothing compares them: look at them, then commit them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDashboard } from '@kasane/dashboard/server';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { browserFlags, browserPath } from './support/browser.ts';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { film, thinned } from './support/film.ts';
import { checkout } from './support/image.ts';
import { type Frame, runInTerminal } from './support/terminal.ts';

const folder = join(checkout, 'docs/images');
/** The line of an epoch fits into it. */
const SIZE = { columns: 100, rows: 24 };
/** Seconds that somebody watches. */
const FILM_SECONDS = 12;
const FRAMES_PER_SECOND = 8;
/** After the command is shown and before it answers, in seconds of the film. */
const PAUSE = 0.6;

const cleanUp = new CleanUp();

async function recordStart(): Promise<string> {
  const command = 'npm start';
  const real = await runInTerminal(command, SIZE, temporaryDirectory(cleanUp));
  const speed = Math.max(1, Math.ceil(real.at(-1)!.at / FILM_SECONDS));
  const prompt = `$ ${command}`;
  const frames: Frame[] = [
    { at: 0, rows: [prompt, ...Array.from({ length: SIZE.rows }, () => '')] },
    // Where this checkout lies is of no interest.
    ...thinned(real, speed, FRAMES_PER_SECOND).map(({ at, rows }) => ({
      at: at + PAUSE * speed,
      rows: [prompt, ...rows].map((row) => row.replace(checkout, '~/kasane/')),
    })),
  ];
  const used = Math.max(...frames.map(({ rows }) => rows.findLastIndex((row) => row !== '') + 1));
  const path = join(folder, 'start.svg');
  writeFileSync(path, film(frames, { ...SIZE, rows: used, speed, title: `${command} in a terminal` }));
  return path;
}

/** The layers of a job in its second epoch: there is a checkpoint to show the pictures of, and it goes on. */
async function picturePage(): Promise<string> {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  for (let i = 0; i < 2; i++) await cluster.worker();
  const dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify(jobPresets['mnist-cnn']));
  const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
  cleanUp.add(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  for await (const { epoch } of client.watch(id)) if (epoch >= 1) break;
  await page.goto(`${dashboard.url}/#/job/${id}/layers`);
  for (const pictures of ['filters', 'maps'])
    await page.locator(`[data-pictures=${pictures}] canvas`).waitFor();
  const path = join(folder, 'page.png');
  await sharp(await page.screenshot())
    .png({ palette: true, compressionLevel: 9, effort: 10 })
    .toFile(path);
  return path;
}

try {
  mkdirSync(folder, { recursive: true });
  for (const picture of [recordStart, picturePage]) process.stdout.write(`${await picture()}\n`);
} finally {
  await cleanUp.run();
}
