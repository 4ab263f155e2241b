/** The dashboard in a real browser, over a real cluster: what a user sees, does, and is kept from. */
import { request } from 'node:http';
import { type Dashboard, startDashboard } from '@kasane/dashboard/server';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserFlags, browserPath } from './support/browser.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let dashboard: Dashboard;
let data: string;

beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
  await cluster.worker();
  data = smallMnist(temporaryDirectory(cleanUp), 4000, 500);
  dashboard = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(() => dashboard.close());
});
afterAll(() => cleanUp.run());

const job = (name: string, epochs: number) => ({
  name,
  model: { preset: 'mnist-mlp' },
  data: { path: data },
  training: { epochs, batch: 100, shards: 4 },
  evaluation: { shardSamples: 250 },
});

/** Status of a request as another program would make it. */
function ask(path: string, options: { method?: string; headers?: Record<string, string> }): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(`${dashboard.url}${path}`, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject).end();
  });
}

describe('the server', () => {
  it('serves only its own files, to those who ask for it by a loopback name', async () => {
    expect(await ask('/', {})).toBe(200);
    expect(await ask('/page/app.ts', {})).toBe(200);
    for (const path of ['/nothing', '/page/../server.ts', '/page/%2e%2e/server.ts', '/../package.json']) {
      expect(await ask(path, {}), path).toBe(404);
    }
    expect(await ask('/', { headers: { host: 'evil.example' } })).toBe(421);
  });

  it("takes no orders from another site's page", async () => {
    expect(await ask('/jobs/x/cancel', { method: 'POST' })).toBe(403);
    expect(await ask('/jobs/x/cancel', { method: 'POST', headers: { 'x-kasane': 'dashboard' } })).toBe(502);
  });

  it('does not listen where others reach it', async () => {
    await expect(startDashboard({ coordinator: cluster.address, host: '0.0.0.0', port: 0 })).rejects.toThrow(
      /SSH tunnel/,
    );
  });
});

describe.skipIf(!browserPath && !process.env.KASANE_REQUIRE_WEBGPU)('the page', () => {
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(dashboard.url);
    cleanUp.add(() => browser.close());
  });

  const text = async (selector: string) => (await page.locator(selector).allInnerTexts()).join('\n');

  it('follows a job to its end without a reload: figures, curves, layers, shards, workers', async () => {
    await page.getByText('2 workers, 2 slots').waitFor();
    const ended = await cluster.run(job('shown', 12));
    await page.locator('#job .state.succeeded').waitFor();
    expect(await text('#job h2')).toBe(ended.id);
    expect(await text('#job .figures')).toContain(`${(100 * ended.history.at(-1)!.testMetric).toFixed(2)} %`);
    expect(await text('#job')).toContain(ended.digest);
    // Something is drawn on every curve.
    const drawn = await page.locator('.charts canvas').evaluateAll((all) =>
      (all as HTMLCanvasElement[]).map((canvas) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value) => value !== 0);
      }),
    );
    expect(drawn).toEqual(new Array(6).fill(true));
    const rows = page.locator('.scroll tbody tr');
    expect(await rows.count()).toBe(6);
    expect((await rows.allInnerTexts())[0]).toMatch(/dense1\s+dense\s+128\s+100,480\s+200,832\s+\d/);
    expect(await page.locator('.scroll tbody svg.spark path').count()).toBe(3);
    expect(await page.locator('.shards span').count()).toBe(4);
    expect(await page.locator('.workers .card').count()).toBe(2);
  });

  it('shows another job when it is chosen, by keyboard too, and survives a reload with its history', async () => {
    const other = await cluster.run(job('other', 1));
    await page.locator(`nav a[href="#${other.id}"]`).focus();
    await page.keyboard.press('Enter');
    await page.locator('#job h2', { hasText: other.id }).waitFor();
    await page.reload();
    await page.locator('#job h2', { hasText: other.id }).waitFor();
    // Its first layer has figures again: gradient, weights, update. (A short job may have too few points for a curve.)
    await page
      .locator('.scroll tbody tr')
      .first()
      .getByText(/^\d+\.\d+$/)
      .nth(2)
      .waitFor();
  });

  it('cancels a job after asking', async () => {
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job('long', 500)));
    await page.goto(`${dashboard.url}/#${id}`);
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#job .state', { hasText: 'cancelled' }).waitFor();
    expect((await client.get(id)).state).toBe(5);
    client.close();
  });

  it('fits a narrow window, and speaks Japanese when asked', async () => {
    await page.setViewportSize({ width: 360, height: 800 });
    // Curves take their new width a frame later.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= window.innerWidth);
    await page.getByRole('button', { name: '日本語' }).click();
    await page.getByText('ワーカー 2、スロット 2').waitFor();
    expect(await page.getAttribute('html', 'lang')).toBe('ja');
  });

  it('says so when the coordinator is gone, and goes on when it is back', async () => {
    await cluster.stopCoordinator();
    await page.locator('#problem:not([hidden])').waitFor();
    expect(await text('#problem')).toContain(cluster.address);
    await cluster.startCoordinator();
    await page.locator('#problem[hidden]').waitFor({ state: 'attached', timeout: 30_000 });
    expect(problems).toEqual([]);
  });
});
