/** What the page says is true: of jobs that stall, fail at once, do not exist, and of what is not known or gone. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { expectNoScrolling, type OpenedDashboard, openDashboard } from './support/dashboard-page.ts';
import { needing } from './support/needs.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);

afterAll(() => cleanUp.run());

const PERCENT = '[\\d.]+ %';

describe('the page', needing(['chromium']), () => {
  let page: Page;
  let go: OpenedDashboard['go'];
  let data: string;

  beforeAll(async () => {
    await cluster.start();
    data = smallMnist(temporaryDirectory(cleanUp), 2000, 500);
    ({ page, go } = await openDashboard(cleanUp, cluster));
    page.setDefaultTimeout(60_000);
  });

  const job = (name: string, epochs: number, training: object = {}) => ({
    name,
    model: { preset: 'mnist-mlp' },
    data: { path: data },
    training: { epochs, batch: 100, shards: 2, ...training },
  });
  const submit = async (spec: object) => {
    const { client } = cluster;
    return client.submit(JSON.stringify(spec)).finally(() => client.close());
  };
  const cancel = async (id: string) => {
    const { client } = cluster;
    await client.cancel(id).finally(() => client.close());
  };
  /** In the head of the job's page. */
  const inHead = (selector: string, hasText: string | RegExp = '') =>
    page.locator('#job-head').locator(selector, { hasText });
  /** The value of a figure of the head. */
  const figure = (name: string) => inHead('dl > div', name).locator('dd').textContent();

  it('says that a job does not exist', async () => {
    await go('/job/nobody-1');
    await page.getByRole('alert').filter({ hasText: 'There is no job nobody-1.' }).waitFor();
    expect(await page.locator('.chart').count()).toBe(0);
    await page.getByRole('link', { name: 'Show all jobs' }).click();
    await page.locator('.jobs').waitFor();
  });

  it('teaches with commands to copy where there is nothing yet', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await go('/jobs');
    await page.getByRole('button', { name: 'Copy: kasane submit mnist-mlp' }).click();
    await page.getByText('Copied').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('kasane submit mnist-mlp');
    await go('/cluster');
    await page.getByRole('button', { name: 'Copy: kasane worker', exact: true }).waitFor();
  });

  it('has no number for what is not known: a job without a worker, and one that fails at its first step', async () => {
    const id = await submit(job('early', 3));
    await go(`/job/${id}`);
    await inHead('.state.stalled', 'stalled').waitFor();
    await inHead('.notice', /No progress for .* no worker is connected/).waitFor();
    for (const name of ['Training loss', 'Training accuracy', 'Samples/s', 'Time left'])
      expect([name, await figure(name)]).toEqual([name, '–']);
    await cancel(id);
    await inHead('.state.cancelled').waitFor();
    expect(await figure('Training loss')).toBe('–');
    await page.getByText('No checkpoints are kept of this job.').waitFor();
    await go('/jobs');
    const card = page.locator(`article[data-job="${id}"]`);
    await expect.poll(() => card.textContent()).toMatch(/Test accuracy–/);
  });

  it('shows loudly that the only worker does nothing, and that the job goes on when it does', async () => {
    const worker = await cluster.worker();
    const id = await submit(job('stalls', 100_000));
    await go(`/job/${id}`);
    await inHead('.state.running').waitFor();
    await expect.poll(() => figure('Samples/s'), { timeout: 30_000 }).toMatch(/\d/);
    expect(await inHead('.notice').count()).toBe(0);
    worker.kill('SIGSTOP');
    await inHead('.state.stalled').waitFor();
    await inHead('.notice', /No progress for \d+ s: step \d+: ./).waitFor();
    expect(await figure('Samples/s')).toBe('–');
    expect(await figure('Time left')).toBe('–');
    expect(await page.title()).toMatch(/stalled/);
    await page.locator('#language').click();
    await inHead('.notice', /秒前から進んでいません/).waitFor();
    await page.locator('#language').click();
    worker.kill('SIGCONT');
    await inHead('.state.running').waitFor();
    await page.setViewportSize({ width: 360, height: 800 });
    await go('/cluster');
    const label = page.locator('svg.waterfall text').first();
    await expect.poll(async () => (await label.boundingBox())?.height ?? 0).toBeGreaterThan(10);
    await expectNoScrolling(page);
    await page.setViewportSize({ width: 1200, height: 900 });
    await cancel(id);
  });

  it('shows the best metric beside the last, and offers no checkpoint that is gone', async () => {
    await cluster.worker();
    const { id } = await cluster.run(job('best', 4, { learningRate: 0.02 }));
    const { client } = cluster;
    const { best, history } = await client.get(id).finally(() => client.close());
    expect(best).toEqual(history.reduce((a, b) => (b.testMetric > a.testMetric ? b : a)));
    const gone = [{ step: 99, bytes: 5, writtenAt: 1, digest: '' }];
    await page.route('**/checkpoints', (route) => route.fulfill({ json: gone }));
    await go(`/job/${id}`);
    await inHead('.state.succeeded').waitFor();
    expect(await figure('Best test accuracy')).toBe(
      `${(100 * best!.testMetric).toFixed(2)} % (epoch ${best!.epoch})`,
    );
    const chart = page.getByRole('region', { name: 'Accuracy' });
    await expect
      .poll(() => chart.locator('.u-legend').textContent())
      .toMatch(new RegExp(`training:?${PERCENT}test:?${PERCENT}`));
    await page
      .getByRole('region', { name: 'Loss' })
      .locator('.u-legend', { hasText: /Step:?[\d,]+training:?\d/ })
      .waitFor();
    await page.getByLabel('Log scale').uncheck();
    const row = page.locator('tr', { hasText: /^99/ });
    await row.waitFor();
    await page.unroute('**/checkpoints');
    await row.getByRole('link').click();
    await page.locator('#problem', { hasText: 'checkpoint' }).waitFor();
    await row.waitFor({ state: 'detached' });
    const saved = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Final weights' }).click();
    expect((await saved).suggestedFilename()).toBe(`${id}.safetensors`);
  });
});
