/** What benchmarks ask of a page in headless Chromium: when it was painted and drawn, what of its main thread it took, how it ran. */
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';
import { browserFlags, browserPath } from '../../test/support/browser.ts';

export async function launch(): Promise<Browser> {
  if (!browserPath) throw new Error('there is no Chromium: apt-get install chromium');
  return chromium.launch({ executablePath: browserPath, args: browserFlags });
}

/** Left in the window by `observe`: functions that run there know nothing of this module. */
interface Observed {
  /** Canvases with a curve on them, and when the last curve was drawn. */
  readonly canvases: Set<HTMLCanvasElement>;
  at: number;
}

/** Runs in the page before its own scripts. uPlot strokes curves, and nothing else, as paths. */
function observe(): void {
  const seen: Observed = { canvases: new Set(), at: 0 };
  (globalThis as unknown as { observed: Observed }).observed = seen;
  const { stroke } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.stroke = function (
    this: CanvasRenderingContext2D,
    ...path: readonly Path2D[]
  ) {
    stroke.apply(this, path as [Path2D]);
    if (path.length === 0) return;
    seen.canvases.add(this.canvas);
    seen.at = performance.now();
  };
}

/** CPU time of the page's main thread, in milliseconds. */
export interface Busy {
  readonly task: number;
  readonly script: number;
  readonly layout: number;
}

export class Tab {
  readonly page: Page;
  readonly #session: CDPSession;

  private constructor(page: Page, session: CDPSession) {
    this.page = page;
    this.#session = session;
  }

  /** One without anything in its cache. */
  static async open(browser: Browser): Promise<Tab> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    await page.addInitScript(observe);
    const session = await context.newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    return new Tab(page, session);
  }

  close(): Promise<void> {
    return this.page.context().close();
  }

  async busy(): Promise<Busy> {
    const { metrics } = await this.#session.send('Performance.getMetrics');
    const of = (name: string) => 1000 * (metrics.find((one) => one.name === name)?.value ?? 0);
    return {
      task: of('TaskDuration'),
      script: of('ScriptDuration'),
      layout: of('LayoutDuration') + of('RecalcStyleDuration'),
    };
  }

  /** Since the navigation began, in milliseconds. */
  firstPaint(): Promise<number> {
    return this.page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const seen = (entries: readonly PerformanceEntry[]) => {
            const first = entries.find(({ name }) => name === 'first-contentful-paint');
            if (first) resolve(first.startTime);
          };
          new PerformanceObserver((list) => seen(list.getEntries())).observe({
            type: 'paint',
            buffered: true,
          });
        }),
    );
  }

  /** Waits until so many charts have their curves and none is drawn any more; returns when the last was. */
  async curves(charts: number): Promise<number> {
    const drawn = await this.page.waitForFunction((count) => {
      const { canvases, at } = (globalThis as unknown as { observed: Observed }).observed;
      const shown = [...canvases].filter((canvas) => canvas.isConnected);
      return shown.length >= count && performance.now() - at > 700 ? at : 0;
    }, charts);
    return (await drawn.jsonValue()) as number;
  }

  /** Goes to another view; returns how long it took until what `selector` finds was `count` times there, and a frame had been made. */
  switchTo(hash: string, selector: string, count: number): Promise<number> {
    return this.page.evaluate(
      ([hash, selector, count]) =>
        new Promise<number>((resolve) => {
          const began = performance.now();
          location.hash = hash;
          const look = () => {
            if (document.querySelectorAll(selector).length < count) requestAnimationFrame(look);
            else requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
          };
          requestAnimationFrame(look);
        }),
      [hash, selector, count] as const,
    );
  }

  /** Lets it run for a while. Lists of milliseconds: from frame to frame, and of tasks longer than 50. */
  async run(seconds: number): Promise<{ frames: number[]; long: number[]; busy: Busy }> {
    const before = await this.busy();
    const times = await this.page.evaluate(
      (ms) =>
        new Promise<{ frames: number[]; long: number[] }>((resolve) => {
          const [frames, long]: [number[], number[]] = [[], []];
          const observer = new PerformanceObserver((list) => {
            for (const { duration } of list.getEntries()) long.push(duration);
          });
          observer.observe({ type: 'longtask' });
          const began = performance.now();
          let last = began;
          const tick = () => {
            const now = performance.now();
            frames.push(now - last);
            last = now;
            if (now - began < ms) requestAnimationFrame(tick);
            else {
              observer.disconnect();
              resolve({ frames, long });
            }
          };
          requestAnimationFrame(tick);
        }),
      1000 * seconds,
    );
    const after = await this.busy();
    const since = (of: keyof Busy) => after[of] - before[of];
    return {
      ...times,
      busy: { task: since('task'), script: since('script'), layout: since('layout') },
    };
  }
}
