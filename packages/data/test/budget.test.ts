/** Tasks that share a budget. */
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { Budget } from '../src/images/budget.ts';
import { pixelsHeld } from '../src/images/image-decode.ts';

it('no more is taken at once than there is; what takes more runs alone, what takes nothing at once', async () => {
  const budget = new Budget(10);
  let [taken, most, together] = [0, 0, 0];
  const begun: number[] = [];
  const run = (takes: number) =>
    budget.run(takes, async () => {
      begun.push(takes);
      taken += takes;
      if (taken > 10) together = Math.max(together, taken - takes);
      most = Math.max(most, Math.min(10, taken));
      await new Promise((done) => setTimeout(done, 1));
      taken -= takes;
      if (takes === 3) throw new Error('failed');
    });
  const all = await Promise.allSettled([6, 4, 5, 100, 3, 7, 0].map(run));
  expect(all.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  expect(most).toBe(10);
  expect(together).toBe(0);
  expect(begun).toHaveLength(7);
  expect(begun.filter((takes) => takes > 0)).toEqual([6, 4, 5, 100, 3, 7]);
  await run(10);
});

it('pictures that decoders hold whole are known before they are decoded', async () => {
  const picture = () => sharp({ create: { width: 40, height: 30, channels: 3, background: '#345678' } });
  for (const whole of [
    picture().jpeg({ progressive: true }),
    picture().withMetadata().jpeg({ progressive: true, mozjpeg: true }),
    picture().png({ progressive: true }),
    picture().webp(),
    picture().gif(),
    picture().tiff(),
    picture().avif(),
  ])
    expect(await pixelsHeld(await whole.toBuffer())).toBe(1200);
  for (const byRow of [picture().jpeg(), picture().png()])
    expect(await pixelsHeld(await byRow.toBuffer())).toBe(0);
  for (const broken of ['', '\xff\xd8', '\xff\xd8\xff\xe0\0\0\0\0\0\0\0\0\0', 'RIFF'])
    expect(await pixelsHeld(Buffer.from(broken, 'latin1'))).toBe(0);
});
