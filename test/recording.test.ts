/** The README's film: the frames of a recording, and what a picture of them shows. */
import { expect, it } from 'vitest';
import { film, thinned } from './support/film.ts';
import { replay } from './support/terminal.ts';

const SIZE = { columns: 20, rows: 3 };

it('a film has each state of a row once, and rests on the last', async () => {
  const pieces = ['░░ 0 <1\r', '█░ 1\x1b[K\r', 'done\r\n██ 2'].map((text) => Buffer.from(text));
  const log = Buffer.concat([Buffer.from('Script started\n'), ...pieces, Buffer.from('\nScript done\n')]);
  const timing = pieces.map(({ length }) => `0.5 ${length}\n`).join('');
  const frames = await replay(log, timing, SIZE);
  expect(frames).toEqual([
    { at: 0.5, rows: ['░░ 0 <1', '', ''] },
    { at: 1, rows: ['█░ 1', '', ''] },
    { at: 1.5, rows: ['done', '██ 2', ''] },
  ]);
  const svg = film(frames, { ...SIZE, speed: 1, title: 'a & b' });
  expect(svg.match(/<text.*?<\/text>/g)!.map((text) => text.replace(/<.*?>/g, ''))).toEqual([
    '0 &#60;1',
    '1',
    'done',
    '2',
  ]);
  expect(
    [...svg.matchAll(/<g id="(r\d)" transform="translate\(0 (-?\d+)\)"/g)].map(([, id, y]) => [id, y]),
  ).toEqual([
    ['r0', '-40'],
    ['r1', '-20'],
    ['r2', '0'],
  ]);
  expect(svg).toContain('prefers-reduced-motion');
});

it('of frames that come too close together the last is kept', () => {
  const frames = [0, 0.1, 0.2, 1.1, 1.2, 2.9].map((at) => ({ at, rows: [] }));
  expect(thinned(frames, 2, 2).map(({ at }) => at)).toEqual([0.2, 1.2, 2.9]);
});
