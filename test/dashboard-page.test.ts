/** The page in a real browser, over a cluster that really trains: each view, what a user does there, who is kept from nothing. */
import { JobStore } from '@kasane/coordinator/internal/store/store';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { LoadChild } from './load/child.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import {
  eventually,
  expectAccessible,
  expectNoScrolling,
  inkOf,
  type OpenedDashboard,
  openDashboard,
} from './support/dashboard-page.ts';
import { drawThree } from './support/draw.ts';
import { longMetrics } from './support/metrics-history.ts';
import { needing } from './support/needs.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let data: string;

afterAll(() => cleanUp.run());

/** Bytes of JavaScript over the network, compressed as the server sends them. */
const SCRIPT_BYTES = 200_000;

const job = (name: string, epochs: number, model: object = { preset: 'mnist-mlp' }) => ({
  name,
  model,
  data: { path: data },
  training: { epochs, batch: 100, shards: 4 },
  evaluation: { shardSamples: 250 },
});
const convolutional = {
  input: [28, 28, 1],
  classes: 10,
  layers: [
    { type: 'conv2d', filters: 4, size: 3, stride: 2 },
    { type: 'relu' },
    { type: 'flatten' },
    { type: 'dense', units: 10 },
  ],
};
const attending = {
  input: [28, 28],
  classes: 10,
  layers: [{ type: 'selfAttention', heads: 2 }, { type: 'flatten' }, { type: 'dense', units: 10 }],
};

describe('the page', needing(['chromium']), () => {
  let page: Page;
  let go: OpenedDashboard['go'];
  let problems: OpenedDashboard['problems'];
  let trained: string;
  const scripts = new Map<string, number>();

  beforeAll(async () => {
    await cluster.start();
    await Promise.all([cluster.worker(), cluster.worker()]);
    data = smallMnist(temporaryDirectory(cleanUp), 4000, 500);
    // The job file that is refused, on purpose.
    const isExpected = (error: string) => error.includes('status of 400');
    ({ page, go, problems } = await openDashboard(cleanUp, cluster, isExpected));
    page.on('requestfinished', async (request) => {
      if (request.resourceType() !== 'script') return;
      // Of a page that has been closed meanwhile nobody knows.
      const sizes = await request.sizes().catch(() => undefined);
      if (sizes) scripts.set(request.url(), sizes.responseBodySize);
    });
    await go('');
  });

  const submit = async (spec: object) => {
    const { client } = cluster;
    return client.submit(JSON.stringify(spec)).finally(() => client.close());
  };
  const text = async (selector: string) => (await page.locator(selector).allInnerTexts()).join('\n');
  const stateOf = (id: string) => page.locator(`article[data-job="${id}"] .state`);

  /** By the key that people have for it, everything that a mouse can use. */
  const expectReachable = async (view: string) => {
    const all = await page.evaluate(() => {
      const things = 'a[href], button:not(:disabled), input, select, textarea, summary, [tabindex="0"]';
      const seen = [...document.querySelectorAll<HTMLElement>(things)].filter((one) => one.checkVisibility());
      for (const one of seen) one.addEventListener('focus', () => one.setAttribute('data-reached', ''));
      document.body.tabIndex = -1;
      document.body.focus();
      document.body.removeAttribute('tabindex');
      return seen.length;
    });
    for (let press = 0; press < all; press++) await page.keyboard.press('Tab');
    const missed = await page.evaluate(() => {
      const things = 'a[href], button:not(:disabled), input, select, textarea, summary, [tabindex="0"]';
      const seen = [...document.querySelectorAll<HTMLElement>(things)].filter((one) => one.checkVisibility());
      return seen
        .filter((one) => !one.hasAttribute('data-reached'))
        .map((one) => one.outerHTML.slice(0, 200));
    });
    expect(missed, view).toEqual([]);
  };

  it('takes a job, lets it be followed to its end, and shows its curves, checkpoints and events', async () => {
    await page.getByText('2 workers, 2 slots').waitFor();
    await page.getByRole('button', { name: 'New job' }).click();
    const file = page.locator('textarea');
    await file.fill('name: 5');
    await page.getByRole('button', { name: 'Submit', exact: true }).click();
    await page.locator('dialog .failed', { hasText: 'name' }).waitFor();
    await file.fill(JSON.stringify(job('shown', 6)));
    await page.getByRole('button', { name: 'Submit', exact: true }).click();
    await page.locator('#job-head .state.succeeded').waitFor();
    trained = await text('#job-head h2');
    const { client } = cluster;
    const ended = await client.get(trained);
    client.close();
    const head = await text('#job-head');
    expect(head).toContain(`${(100 * ended.history.at(-1)!.testMetric).toFixed(2)} %`);
    expect(head).toContain(ended.digest);
    await eventually(() => inkOf(page, '.chart canvas')).toEqual(new Array(6).fill(true));
    await page.getByRole('link', { name: 'Final weights' }).waitFor();
    await page.getByRole('heading', { name: 'Confusion matrix (epoch 6)' }).waitFor();
    const right = (await page.locator('.confusion td.right').allInnerTexts()).reduce(
      (sum, n) => sum + Number(n),
      0,
    );
    const cells = (await page.locator('.confusion tbody td').allInnerTexts()).map(Number);
    expect(cells).toHaveLength(100);
    const samples = cells.reduce((sum, count) => sum + count, 0);
    expect(right / samples).toBeCloseTo(ended.history.at(-1)!.testMetric, 6);
    expect(await page.locator('.events li').count()).toBeGreaterThanOrEqual(6 + 3);
    await page.getByLabel('Smoothing').fill('0.6');
    await page.getByLabel('X axis').selectOption('epoch');
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await expectAccessible(page, 'curves');
  });

  it('shows the layers: gradients, distributions, and the filters and maps of the newest checkpoint', async () => {
    const { id } = await cluster.run(job('convolutional', 2, convolutional));
    await go(`/job/${id}/layers`);
    const plates = page.getByRole('option', { name: /FLOPs/ });
    await plates.nth(3).waitFor();
    expect(await plates.count()).toBe(4);
    expect((await plates.allInnerTexts())[0]).toMatch(/conv2d1\s+conv2d\s+13 × 13 × 4 · 40 parameters/);
    await page.locator('[data-pictures=filters] canvas').waitFor();
    await page.locator('[data-ridges=gradient] canvas').waitFor();
    await page.locator('[data-ridges=weights] canvas').waitFor();
    expect(await inkOf(page, '[data-pictures] canvas')).toEqual([true, true]);
    const maps = () =>
      page
        .locator('[data-pictures=maps] canvas')
        .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const before = await maps();
    await page.getByLabel('Test sample', { exact: true }).selectOption('1');
    expect(await maps()).not.toBe(before);
    // By keyboard to the next layer.
    await plates.first().focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('.detail h2', { hasText: 'relu1' }).waitFor();
    await expectAccessible(page, 'layers');

    const other = await cluster.run(job('attending', 1, attending));
    await go(`/job/${other.id}/layers`);
    await page.locator('[data-pictures=attention] canvas').waitFor();
    expect(await inkOf(page, '[data-pictures=attention] canvas')).toEqual([true]);
  });

  it('recognises a digit that is drawn, with what it loads for that within the limit', async () => {
    await go(`/job/${trained}/try`);
    await page.locator('canvas.pad').waitFor();
    await drawThree(page);
    await page.locator('.guess', { hasText: /^3$/ }).waitFor();
    await expectAccessible(page, 'try');
    await page.getByRole('button', { name: 'Test sample 0' }).click();
    // The first of MNIST's test images.
    await page.locator('.guess', { hasText: 'actual 7' }).waitFor();
    const bytes = [...scripts.values()].reduce((sum, size) => sum + size, 0);
    expect([...scripts.keys()].some((url) => url.includes('/network-'))).toBe(true);
    expect(bytes).toBeLessThan(SCRIPT_BYTES);
  });

  it('reads a digit on a transparent ground as it reads one on paper, and says so', async () => {
    const digit = async (ground: number, opacity: number) => {
      const pixels = Buffer.alloc(28 * 28 * 4);
      for (let i = 0; i < 784; i++) {
        const drawn = i % 28 > 12 && i % 28 < 16 && i > 28 * 4 && i < 28 * 24;
        pixels.fill(drawn ? 0 : ground, 4 * i, 4 * i + 3);
        pixels[4 * i + 3] = drawn ? 255 : opacity;
      }
      const raw = { width: 28, height: 28, channels: 4 } as const;
      return {
        name: 'one.png',
        mimeType: 'image/png',
        buffer: await sharp(pixels, { raw }).png().toBuffer(),
      };
    };
    await go(`/job/${trained}/try`);
    await page.locator('canvas.pad').waitFor();
    const answer = async (file: Awaited<ReturnType<typeof digit>>) => {
      await page.locator('input[type=file]').setInputFiles(file);
      await page.locator('.prediction .guess').waitFor();
      return page.locator('.prediction .bars').textContent();
    };
    const paper = await answer(await digit(255, 255));
    expect(await page.getByText('Transparent areas of the image').count()).toBe(0);
    await page.getByRole('button', { name: 'Clear' }).click();
    const clear = await answer(await digit(0, 0));
    await page.getByText('Transparent areas of the image are filled with white.').waitFor();
    expect(clear).toBe(paper);
  });

  it('pauses a job, lets it go on, and cancels it after asking', async () => {
    const id = await submit(job('long', 2000));
    await go('/jobs');
    await stateOf(id).filter({ hasText: 'running' }).waitFor();
    await page.getByLabel(`Priority: ${id}`).selectOption('5');
    await eventually(async () => await page.getByLabel(`Priority: ${id}`).inputValue()).toBe('5');
    await page.getByRole('button', { name: `Pause: ${id}` }).click();
    await stateOf(id).filter({ hasText: 'paused' }).waitFor();
    await page.getByRole('button', { name: `Resume: ${id}` }).click();
    await stateOf(id).filter({ hasText: 'running' }).waitFor();
    await expectAccessible(page, 'jobs');
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: `Cancel: ${id}` }).click();
    await stateOf(id).filter({ hasText: 'cancelled' }).waitFor();
    await page.getByLabel('Filter by name').fill('convol');
    expect(await page.locator('article.job').count()).toBe(1);
  });

  it('drops jobs that are deleted, here after a question or by others', async () => {
    const { client } = cluster;
    const cancelled = async () => {
      const id = await submit(job('gone', 1));
      await client.cancel(id);
      return id;
    };
    const [here, elsewhere] = [await cancelled(), await cancelled()];
    await go('/jobs');
    await page.getByLabel('Filter by name').fill('');
    await stateOf(elsewhere).filter({ hasText: 'cancelled' }).waitFor();
    const remove = () => page.getByRole('button', { name: `Delete: ${here}` }).click();
    page.once('dialog', (dialog) => dialog.dismiss());
    await remove();
    await client.delete(elsewhere);
    await stateOf(elsewhere).waitFor({ state: 'detached' });
    expect((await client.get(here)).id).toBe(here);
    page.once('dialog', (dialog) => dialog.accept());
    await remove();
    await stateOf(here).waitFor({ state: 'detached' });
    client.close();
    await go(`/job/${here}`);
    await page
      .getByRole('alert')
      .filter({ hasText: `There is no job ${here}` })
      .waitFor();
  });

  it('shows who computes what, and a worker that is killed as gone', async () => {
    const third = await cluster.worker();
    const id = await submit(job('watched', 2000));
    await go('/cluster');
    await eventually(() => page.locator('article.worker').count()).toBe(3);
    await page.locator('svg.waterfall rect').nth(4).waitFor();
    await eventually(() => page.locator('section tbody tr').count()).toBeGreaterThanOrEqual(2);
    expect(await inkOf(page, 'canvas.timeline')).toEqual([true]);
    await page.getByRole('button', { name: 'Previous step' }).click();
    await expectAccessible(page, 'cluster');
    third.kill('SIGKILL');
    await eventually(() => page.locator('article.worker').count()).toBe(2);
    // On a busy machine others have been taken for gone, too, and came back.
    await page.locator('tr.failed').first().waitFor();
    const { client } = cluster;
    await client.cancel(id);
    client.close();
  });

  it('shows a run of a hundred thousand steps from its first to its last, by keyboard as well', async () => {
    const { id } = await cluster.run(job('history', 1));
    const store = new JobStore(cluster.state);
    store.setMetrics(id, longMetrics(100_000));
    store.close();
    await go(`/job/${id}`);
    await page.reload();
    await eventually(() => inkOf(page, '.chart canvas')).toEqual(new Array(6).fill(true));
    await expectReachable('curves');
    const loss = page.getByRole('slider', { name: 'Loss' });
    const under = page.locator('.chart', { has: loss }).locator('.u-value');
    await loss.focus();
    const shownAfter = (key: string) => async () => {
      await page.keyboard.press(key);
      return (await under.allInnerTexts()).slice(0, 2);
    };
    await eventually(shownAfter('Home')).toEqual(['1', expect.stringMatching(/^2\.0/)]);
    await eventually(shownAfter('End')).toEqual(['100,000', expect.stringMatching(/^0\.0/)]);
    await eventually(() => loss.getAttribute('aria-valuetext')).toMatch(/^Step 100000, training 0\.0/);
    await page.keyboard.press('ArrowLeft');
    await eventually(async () => Number(await loss.getAttribute('aria-valuenow'))).toBeLessThan(100_000);
    await go(`/job/${id}/layers`);
    await page.getByRole('option').first().waitFor();
  });

  it('shows two hundred workers: found by name and by scrolling, in a narrow window too', async () => {
    const { id } = await cluster.run(job('many', 1));
    const children = [1, 2, 3, 4].map(
      () => new LoadChild('./workers.ts', { coordinator: cluster.address, workers: 50, sharedMemory: true }),
    );
    // Also if this fails: the next test counts workers.
    onTestFinished(async () => void (await Promise.all(children.map((child) => child.end()))));
    await Promise.all(children.map((child) => child.ready()));
    const { client } = cluster;
    // On a busy machine one is taken for gone now and then, and comes back: what is drawn comes from one answer that has them all.
    let workers: Awaited<ReturnType<typeof client.status>>['workers'] = [];
    await eventually(async () => {
      ({ workers } = await client.status());
      return workers.length;
    }).toBe(202);
    client.close();
    const store = new JobStore(cluster.state);
    store.setMetrics(id, longMetrics(100_000, { workers: workers.map((worker) => worker.id) }));
    store.close();
    // Of jobs that have ended the newest is shown.
    await go('/cluster');
    await page.reload();
    const cards = page.locator('article.worker');
    await eventually(() => cards.count()).toBe(202);
    await page.locator('section tbody tr').nth(199).waitFor();
    // Steps are drawn once a second at most.
    await eventually(() => inkOf(page, 'canvas.timeline')).toEqual([true]);
    const last = workers.at(-1)!.id;
    await page.getByLabel('Filter by name').fill(last.toUpperCase());
    await eventually(() => cards.count()).toBe(1);
    // A card out of sight is not laid out, and has no text until it is.
    await eventually(() => text('article.worker')).toContain(last);
    await page.getByLabel('Filter by name').fill('nobody');
    await page.getByText('No matching workers.').waitFor();
    await page.getByLabel('Filter by name').fill('');
    await eventually(() => cards.count()).toBe(202);
    await expectReachable('cluster');
    const inSight = () =>
      page.getByRole('group', { name: 'Worker' }).evaluate((list) => {
        const { bottom } = list.getBoundingClientRect();
        return list.lastElementChild!.getBoundingClientRect().bottom <= bottom + 1;
      });
    for (const width of [1200, 360]) {
      await page.setViewportSize({ width, height: 800 });
      await page.getByRole('group', { name: 'Worker' }).focus();
      await page.keyboard.press('Home');
      await eventually(inSight).toBe(false);
      await page.keyboard.press('End');
      await eventually(inSight).toBe(true);
      await expectNoScrolling(page);
      await expectAccessible(page, `two hundred workers, ${width} px`);
    }
    await page.setViewportSize({ width: 1200, height: 900 });
    await Promise.all(children.map((child) => child.end()));
    await eventually(() => cards.count()).toBe(2);
  });

  it('shows layers, or that there are none yet, to those who have them read aloud', async () => {
    // What the page is told of the job does not arrive.
    await go('/jobs');
    await page.route('**/events*', () => {});
    await go(`/job/${trained}/layers`);
    await page.getByText('Layers appear once the job has started').waitFor();
    await expectAccessible(page, 'no layers');
    expect(await page.getByRole('listbox', { name: 'Layers' }).count()).toBe(0);
    await page.unroute('**/events*');
    await go('/jobs');
    await go(`/job/${trained}/layers`);
    await page.getByRole('listbox', { name: 'Layers' }).waitFor();
    await expectAccessible(page, 'layers');
  });

  it('fits a narrow window, in the dark, and speaks Japanese when asked', async () => {
    await page.setViewportSize({ width: 360, height: 800 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.getByRole('button', { name: '日本語' }).click();
    await page.locator('#summary', { hasText: 'ワーカー 2、スロット 2' }).waitFor();
    expect(await page.getAttribute('html', 'lang')).toBe('ja');
    for (const hash of [
      '/jobs',
      '/cluster',
      `/job/${trained}`,
      `/job/${trained}/layers`,
      `/job/${trained}/try`,
    ]) {
      await go(hash);
      await page.locator('.card, .plate').first().waitFor();
      // Curves take their new width a frame later.
      await expectNoScrolling(page);
      await expectAccessible(page, `${hash}, dark`);
    }
  });

  it('says so when the coordinator is gone, and goes on when it is back', async () => {
    expect(problems).toEqual([]);
    await cluster.stopCoordinator();
    await page.locator('#problem:not([hidden])').waitFor();
    expect(await text('#problem')).toContain(cluster.address);
    await cluster.startCoordinator();
    await page.locator('#problem[hidden]').waitFor({ state: 'attached', timeout: 30_000 });
  });
});
