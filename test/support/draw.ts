/** Draws on the page's pad as a person would. */
import type { Page } from 'playwright-core';

/** Points of a 3, in parts of the pad's side. */
const THREE: readonly (readonly [number, number])[] = [
  [0.32, 0.26],
  [0.42, 0.18],
  [0.56, 0.18],
  [0.66, 0.27],
  [0.64, 0.38],
  [0.55, 0.46],
  [0.46, 0.48],
  [0.58, 0.51],
  [0.68, 0.6],
  [0.67, 0.73],
  [0.56, 0.82],
  [0.42, 0.82],
  [0.31, 0.74],
];

/** A three, in one stroke. */
export async function drawThree(page: Page): Promise<void> {
  const pad = page.locator('canvas.pad');
  await pad.scrollIntoViewIfNeeded();
  const box = (await pad.boundingBox())!;
  const place = ([x, y]: readonly [number, number]) =>
    [box.x + x * box.width, box.y + y * box.height] as const;
  await page.mouse.move(...place(THREE[0]!));
  await page.mouse.down();
  for (const point of THREE) await page.mouse.move(...place(point), { steps: 4 });
  await page.mouse.up();
}
