/** The dashboard of a cluster in a real browser, and what every view of it is tested for. */
import { readFileSync } from 'node:fs';
import { startDashboard } from '@kasane/dashboard/server';
import { chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { browserFlags, browserPath } from './browser.ts';
import type { CleanUp, TestCluster } from './cluster.ts';

const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

export interface OpenedDashboard {
  /** Blank until it goes somewhere. */
  readonly page: Page;
  /** Shows the view at an address such as `/jobs`. */
  readonly go: (address: string) => Promise<unknown>;
  /** Errors of the page so far, and those on its console. */
  readonly problems: string[];
}

/** @param isExpected whether a test provokes an error on the console */
export async function openDashboard(
  cleanUp: CleanUp,
  cluster: TestCluster,
  isExpected: (error: string) => boolean = () => false,
): Promise<OpenedDashboard> {
  const { url, close } = await startDashboard({ coordinator: cluster.address, port: 0 });
  cleanUp.add(close);
  const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
  cleanUp.add(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(90_000);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isExpected(message.text())) problems.push(message.text());
  });
  return { page, go: (address) => page.goto(`${url}/#${address}`), problems };
}

/** On a busy machine everything takes its time. */
export const eventually = <T>(look: () => Promise<T>) =>
  expect.poll(look, { timeout: 60_000, interval: 100 });

/** Of each canvas, whether something is drawn on it. */
export const inkOf = (page: Page, selector: string) =>
  page.locator(selector).evaluateAll((all) =>
    (all as HTMLCanvasElement[]).map((canvas) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return new Set(data).size > 4;
    }),
  );

/** @param view what is shown, for the message */
export async function expectAccessible(page: Page, view: string): Promise<void> {
  await page.evaluate(axe);
  const faults = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { impact: string; id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`);
  });
  expect(faults, view).toEqual([]);
}

export const expectNoScrolling = (page: Page) =>
  page.waitForFunction(() => document.documentElement.scrollWidth <= window.innerWidth);
