/** Sweeps and runs in a real browser: two thousand trials that ended long ago, and a sweep that goes on while somebody looks. */
import { gzipSync } from 'node:zlib';
import { bundlePage } from '@kasane/dashboard/internal/bundle';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import {
  eventually,
  expectAccessible,
  expectNoScrolling,
  inkOf,
  type OpenedDashboard,
  openDashboard,
} from './support/dashboard-page.ts';
import { LARGE_SWEEP, writeLargeSweep } from './support/large-sweep.ts';
import { needing } from './support/needs.ts';

const TRIALS = 2000;
const cleanUp = new CleanUp();
const state = temporaryDirectory(cleanUp);
const cluster = new TestCluster(cleanUp, {}, state);
afterAll(() => cleanUp.run());

/** Bytes of all scripts that there are, compressed. */
const SCRIPT_BYTES = 200_000;

it('all scripts together stay small', async () => {
  const files = [...(await bundlePage(false))].filter(([name]) => name.endsWith('.js'));
  const bytes = files.reduce((sum, [, content]) => sum + gzipSync(content).length, 0);
  expect(bytes).toBeLessThan(SCRIPT_BYTES);
});

describe('the page', needing(['chromium']), () => {
  let page: Page;
  let go: OpenedDashboard['go'];
  let problems: OpenedDashboard['problems'];
  let values: readonly number[];

  beforeAll(async () => {
    values = writeLargeSweep(state, TRIALS);
    await cluster.start();
    await cluster.worker();
    ({ page, go, problems } = await openDashboard(cleanUp, cluster));
    await go('/sweeps');
  });

  const rows = () => page.locator('.rows tbody tr[data-row]');
  const firstRow = async () =>
    (await rows().first().locator('td').allTextContents()).map((cell) => cell.trim());
  const count = () => page.locator('.rows table').first().getAttribute('aria-rowcount');
  const ink = () => inkOf(page, 'canvas:visible');

  it('lists sweeps, and leads to one with its best trial', async () => {
    await rows().first().waitFor();
    expect(await firstRow()).toEqual(expect.arrayContaining([LARGE_SWEEP, 'succeeded', '2,000 / 2,000']));
    await expectAccessible(page, 'sweeps');
    await page.getByRole('link', { name: LARGE_SWEEP }).click();
    await page.getByRole('heading', { name: LARGE_SWEEP }).waitFor();
    const best = values.indexOf(Math.max(...values)) + 1;
    await rows().first().waitFor();
    expect((await firstRow()).slice(1, 3)).toEqual([best.toLocaleString('en'), 'succeeded']);
    const link = page.locator('#sweep-head .best a');
    expect(await link.getAttribute('href')).toBe(`#/job/${LARGE_SWEEP}-${best}`);
    expect(await page.locator('#sweep-head').textContent()).toContain(
      `${(100 * Math.max(...values)).toFixed(2)} %`,
    );
  });

  it('shows two thousand trials: as many rows as are in sight, sorted, filtered and scrolled through', async () => {
    expect(await count()).toBe(String(TRIALS + 1));
    expect(await rows().count()).toBeLessThan(60);
    const sort = page.getByRole('button', { name: 'Test accuracy', exact: false }).first();
    await sort.click();
    await sort.click();
    const worst = values.indexOf(Math.min(...values)) + 1;
    await eventually(async () => (await firstRow())[1]).toBe(worst.toLocaleString('en'));
    expect(await page.locator('th[aria-sort=ascending]').count()).toBe(1);
    const table = page.getByRole('region', { name: 'Runs' });
    await table.focus();
    await page.keyboard.press('End');
    await eventually(() => page.locator(`.rows tr[aria-rowindex="${TRIALS + 1}"]`).count()).toBe(1);
    expect(await rows().count()).toBeLessThan(60);
    const filter = page.getByLabel('Filter', { exact: true });
    await filter.fill('training.optimizer.type=adam, training.batch>=128');
    await eventually(async () => Number(await count())).toBeLessThan(TRIALS / 2);
    await page.getByText(`of 2,000`).waitFor();
    await filter.fill('nothing=5');
    await page.getByText("There is no column 'nothing'.").waitFor();
    await filter.fill('training.batch');
    await page.getByText('No matching rows.').waitFor();
    await filter.fill('');
    await page.getByText('Columns', { exact: true }).click();
    await page.getByRole('checkbox', { name: 'training.epochs', exact: true }).check();
    await page.getByRole('button', { name: 'training.epochs' }).waitFor();
  });

  it('draws curves, parallel coordinates, a scatter and what matters, and in what two trials differ', async () => {
    await eventually(ink).toEqual([true, true, true, true]);
    const importance = page.locator('.bars li');
    expect(await importance.count()).toBe(5);
    expect(await importance.first().textContent()).toContain('training.learningRate');
    // Where none is chosen, curves are those of the best.
    const metric = page.getByLabel('Metric', { exact: true });
    const name = `${LARGE_SWEEP}-${values.indexOf(Math.max(...values)) + 1}`;
    const curve = page.locator('.u-legend').getByRole('button', { name, exact: true });
    await metric.selectOption('seconds');
    await curve.waitFor({ state: 'detached' });
    await metric.selectOption('bestMetric');
    await curve.waitFor();
    await metric.selectOption('value');
    await page.getByLabel('Horizontal axis').selectOption('training.batch');
    await eventually(ink).toEqual([true, true, true, true]);
    // Accuracy for its price.
    await page.getByLabel('Horizontal axis').selectOption('parameters');
    await page.getByRole('button', { name: 'Pareto front' }).waitFor();
    await page.getByLabel('Horizontal axis').selectOption('training.batch');
    await page.getByRole('button', { name: 'Pareto front' }).waitFor({ state: 'detached' });
    for (const name of [`${LARGE_SWEEP}-1`, `${LARGE_SWEEP}-2`]) {
      await page.getByLabel('Filter', { exact: true }).fill(`job=${name}`);
      await page.getByRole('checkbox', { name: `Choose ${name}`, exact: true }).check();
    }
    await page.getByRole('heading', { name: 'Differences' }).waitFor();
    const lines = await page.locator('.differences tbody th').allInnerTexts();
    expect(lines).toEqual(expect.arrayContaining(['training.learningRate', 'Test accuracy']));
    expect(
      await page
        .locator('.u-legend')
        .filter({ hasText: `${LARGE_SWEEP}-2` })
        .count(),
    ).toBeGreaterThan(0);
    await expectAccessible(page, 'a sweep');
    await page.getByRole('button', { name: 'Clear selection' }).click();
    await page.locator('.differences').waitFor({ state: 'hidden' });
  });

  it('shows the front of a sweep by two metrics, plotted against each other', async () => {
    const data = smallMnist(temporaryDirectory(cleanUp), 600, 200);
    const { client } = cluster;
    const id = await client.sweeps.submit(
      JSON.stringify({
        name: 'front',
        model: {
          input: [28, 28],
          classes: 10,
          layers: [{ type: 'flatten' }, { type: 'dense', units: 8 }, { type: 'dense', units: 10 }],
        },
        data: { path: data },
        training: { epochs: 1, batch: 60, shards: 2 },
        search: {
          metric: ['testAccuracy', 'parameters'],
          sampler: 'grid',
          parameters: { 'model.layers.1.units': { integers: [2, 10], step: 4 } },
        },
      }),
    );
    await go(`/sweep/${id}`);
    await page.locator('#sweep-head .state.succeeded').waitFor();
    const { sweep, trials } = await client.sweeps.get(id);
    client.close();
    await eventually(async () => page.locator('#sweep-head').textContent()).toContain(
      `Trials on the Pareto front${sweep.front}`,
    );
    // Sorted by the first metric: the most accurate is on the front.
    expect(trials[sweep.best!.number - 1]!.front).toBe(true);
    await eventually(firstRow).toEqual(expect.arrayContaining([`${sweep.best!.number}`, '✓']));
    expect((await firstRow()).map((cell) => cell.replace(',', ''))).toContain(`${sweep.best!.further[0]}`);
    expect(await page.getByLabel('Horizontal axis').inputValue()).toBe('parameters');
    expect(await page.getByLabel('Vertical axis').inputValue()).toBe('value');
    await page.locator('.charts .u-legend').filter({ hasText: 'Pareto front' }).waitFor();
    await expectAccessible(page, 'a front');
    await go('/sweeps');
    await eventually(firstRow).toEqual(
      expect.arrayContaining([id, 'Test accuracy, Parameters', `front of ${sweep.front}`]),
    );
  });

  it('shows whose weights a trial started from', async () => {
    const data = smallMnist(temporaryDirectory(cleanUp), 600, 200);
    const { client } = cluster;
    const id = await client.sweeps.submit(
      JSON.stringify({
        name: 'population',
        model: { preset: 'mnist-mlp' },
        data: { path: data, format: 'idx' },
        training: { epochs: 1, batch: 60, shards: 2 },
        search: {
          metric: 'testAccuracy',
          ...{ sampler: 'population', population: 2, trials: 4 },
          parameters: { 'training.learningRate': { log: [0.0001, 0.01] } },
        },
      }),
    );
    await go(`/sweep/${id}`);
    await page.locator('#sweep-head .state.succeeded').waitFor();
    const { sweep } = await client.sweeps.get(id);
    client.close();
    const { number, parent } = sweep.best!;
    expect(parent).toBeGreaterThan(0);
    await page.getByRole('columnheader', { name: 'Weights from' }).first().waitFor();
    await eventually(async () => (await firstRow()).slice(1, 6)).toEqual([
      ...[`${number}`, 'succeeded', '1'],
      ...[expect.stringMatching(/^\d\d\.\d/), `${parent}`],
    ]);
    await expectAccessible(page, 'a population');
  });

  it('follows a sweep that goes on, and cancels it after asking', async () => {
    const data = smallMnist(temporaryDirectory(cleanUp), 600, 200);
    const { client } = cluster;
    const id = await client.sweeps.submit(
      JSON.stringify({
        name: 'live',
        model: { input: [28, 28], classes: 10, layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
        data: { path: data },
        training: { epochs: 4, batch: 60, shards: 2 },
        search: {
          metric: 'testAccuracy',
          trials: 500,
          halving: { eta: 2, minEpochs: 1 },
          parameters: { 'training.learningRate': { log: [0.0001, 0.1] } },
        },
      }),
    );
    await go('/sweeps');
    await page.getByRole('link', { name: id }).click();
    await eventually(async () => Number(await count())).toBeGreaterThan(3);
    await page.locator('.rows .paused').first().waitFor();
    const seen = Number(await count());
    await eventually(async () => Number(await count())).toBeGreaterThan(seen);
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: `Cancel: ${id}` }).click();
    await page.locator('#sweep-head .state.cancelled').waitFor();
    const { trials } = await client.sweeps.get(id);
    client.close();
    await eventually(async () => Number(await count())).toBe(trials.length + 1);
    await go('/sweep/nothing');
    await page.getByRole('alert').filter({ hasText: 'There is no sweep nothing' }).waitFor();
    problems.length = 0;
  });

  it('compares any jobs, with their changes, and without those that are deleted', async () => {
    await go('/runs');
    await rows().first().waitFor();
    const before = Number(await count());
    expect(before).toBeGreaterThan(TRIALS);
    const { client } = cluster;
    const [newest] = await client.list(1);
    await page.locator(`tr[data-row="${newest!.id}"] .cancelled`).waitFor();
    await client.delete(newest!.id);
    client.close();
    await eventually(async () => Number(await count())).toBe(before - 1);
    await eventually(ink).toEqual([true, true, true]);
    await expectAccessible(page, 'runs');
    expect(problems).toEqual([]);
  });

  it('fits a narrow window, in the dark, and speaks Japanese when asked', async () => {
    await page.setViewportSize({ width: 360, height: 800 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.getByRole('button', { name: '日本語' }).click();
    for (const [hash, text] of [
      ['/sweeps', 'スイープ'],
      [`/sweep/${LARGE_SWEEP}`, '平行座標'],
      ['/runs', '件中'],
    ] as const) {
      await go(hash);
      await rows().first().waitFor();
      await page.getByText(text).first().waitFor();
      await expectNoScrolling(page);
      await expectAccessible(page, `${hash}, dark`);
    }
    expect(problems).toEqual([]);
  });
});
