/** Pictures of numbers, as SVG or PNG. They say no words but names of jobs and layers: pages in both languages show the same ones. */
import sharp from 'sharp';

const FONT = 'font:13px system-ui,-apple-system,"Segoe UI",sans-serif';
/** Told apart without colour vision too (Okabe and Ito 2008). */
export const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'] as const;
const INK = '#2b2f38';
const FAINT = '#d9dce3';
const MARGIN = { left: 58, right: 24, top: 20, bottom: 46 };

const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const short = (value: number) => Number(value.toFixed(1));

export interface Sheet {
  readonly width: number;
  readonly height: number;
  /** For who does not see it. */
  readonly title: string;
}

/** A white sheet, also where the page is dark. */
export function svg({ width, height, title }: Sheet, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>text{${FONT};fill:${INK}}</style>`,
    '<rect width="100%" height="100%" rx="8" fill="#fff"/>',
    ...parts,
    '</svg>\n',
  ].join('\n');
}

export const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${short(x)}" y="${short(y)}"${more && ` ${more}`}>${escaped(content)}</text>`;

export interface Axis {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  readonly log?: boolean;
  /** How a tick is written. */
  readonly say?: (value: number) => string;
}

export interface Plane {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly frame: readonly string[];
}

/** Axes with their ticks, and where a point lies on the sheet. */
export function plane({ width, height }: Sheet, across: Axis, up: Axis): Plane {
  const on = ({ from, to, log }: Axis, value: number) =>
    log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
  const [wide, high] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
  const x = (value: number) => MARGIN.left + wide * on(across, value);
  const y = (value: number) => MARGIN.top + high * (1 - on(up, value));
  const [left, right, bottom] = [MARGIN.left, width - MARGIN.right, height - MARGIN.bottom];
  const say = (axis: Axis, value: number) => axis.say?.(value) ?? String(value);
  return {
    x,
    y,
    frame: [
      ...up.ticks.flatMap((tick) => [
        `<path d="M${left} ${short(y(tick))}H${right}" stroke="${FAINT}"/>`,
        text(left - 8, y(tick) + 4, say(up, tick), 'text-anchor="end"'),
      ]),
      ...across.ticks.map((tick) => text(x(tick), bottom + 18, say(across, tick), 'text-anchor="middle"')),
      `<path d="M${left} ${MARGIN.top}V${bottom}H${right}" fill="none" stroke="${INK}"/>`,
      text((left + right) / 2, height - 10, across.name, 'text-anchor="middle"'),
      text(left - 46, MARGIN.top - 6, up.name),
    ],
  };
}

export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Number of its colour; curves of one kind share it. */
  readonly color: number;
  readonly dashed?: boolean;
}

/** Curves with their names at the right, below each other where they would lie on each other. */
export function curves(sheet: Sheet, across: Axis, up: Axis, list: readonly Curve[]): string {
  const room = 130;
  const { x, y, frame } = plane({ ...sheet, width: sheet.width - room }, across, up);
  const paths = list.map(({ points, color, dashed }) => {
    const d = points.map(([a, b], at) => `${at ? 'L' : 'M'}${short(x(a))} ${short(y(b))}`).join('');
    return `<path d="${d}" fill="none" stroke="${COLORS[color]}" stroke-width="2.5"${dashed ? ' stroke-dasharray="2 5"' : ''} stroke-linejoin="round"/>`;
  });
  const ends = list
    .map(({ name, points, color }) => ({ name, color, at: y(points.at(-1)![1]) + 4 }))
    .sort((a, b) => a.at - b.at);
  let last = 0;
  const names = ends.map(({ name, color, at }) => {
    last = Math.max(at, last + 17);
    return text(sheet.width - room - 16, last, name, `style="fill:${COLORS[color]}"`);
  });
  return svg(sheet, [...frame, ...paths, ...names]);
}

/** A table of numbers from 0 to 1 as squares, with letters beside rows and columns. */
export function squares(
  title: string,
  values: readonly (readonly number[])[],
  rows: readonly string[],
  columns: readonly string[],
): string {
  const [cell, left, top] = [22, 34, 34];
  const cells = values.flatMap((row, r) =>
    row.flatMap((value, c) =>
      value < 0.02
        ? []
        : [
            `<path d="M${left + c * cell} ${top + r * cell}h21v21h-21z" fill-opacity="${Number(value.toFixed(2))}"/>`,
          ],
    ),
  );
  const size = { width: left + columns.length * cell + 12, height: top + rows.length * cell + 12, title };
  return svg(size, [
    `<rect x="${left - 1}" y="${top - 1}" width="${columns.length * cell + 1}" height="${rows.length * cell + 1}" fill="#f2f4f8"/>`,
    `<g fill="${COLORS[0]}">${cells.join('')}</g>`,
    ...rows.map((row, at) => text(left - 10, top + at * cell + 15, row, 'text-anchor="end"')),
    ...columns.map((column, at) => text(left + at * cell + 10, top - 10, column, 'text-anchor="middle"')),
  ]);
}

export interface Tile {
  readonly width: number;
  readonly height: number;
  /** Row by row. */
  readonly values: ArrayLike<number>;
  /** Pixels of a number's square, and its colours, where they differ from the other tiles'. */
  readonly scale?: number;
  readonly paint?: Paint;
}

type Paint = (value: number, most: number) => readonly number[];

type Rgb = readonly [number, number, number];

const mixed = (a: Rgb, b: Rgb, part: number) => a.map((from, c) => from + part * (b[c]! - from));

/** Blue below 0, white, red above; of a tile's largest number. */
export function signed(value: number, most: number): readonly number[] {
  const part = most > 0 ? value / most : 0;
  return mixed([250, 250, 250], part < 0 ? [0, 92, 170] : [200, 60, 0], Math.min(1, Math.abs(part)));
}

/** From dark to light. */
export const grey = (value: number, most: number): readonly number[] =>
  mixed([16, 20, 40], [255, 255, 255], most > 0 ? Math.max(0, Math.min(1, value / most)) : 0);

/** Tiles in rows as a PNG, each number a square of `scale` pixels. */
export function tiles(grid: readonly (readonly Tile[])[], scale: number, paint: Paint): Promise<Buffer> {
  const gap = 6;
  const sizeOf = (tile: Tile) => {
    const own = tile.scale ?? scale;
    return { own, wide: Math.round(tile.width * own), high: Math.round(tile.height * own) };
  };
  const width = Math.max(...grid.map((row) => row.reduce((sum, tile) => sum + sizeOf(tile).wide + gap, gap)));
  const height = grid.reduce((sum, row) => sum + sizeOf(row[0]!).high + gap, gap);
  const pixels = Buffer.alloc(width * height * 3, 255);
  let top = gap;
  for (const row of grid) {
    let left = gap;
    for (const tile of row) {
      const { own, wide, high } = sizeOf(tile);
      const most = Math.max(...Array.from(tile.values, Math.abs));
      for (let y = 0; y < high; y++)
        for (let x = 0; x < wide; x++) {
          const value = tile.values[Math.floor(y / own) * tile.width + Math.floor(x / own)]!;
          const color = (tile.paint ?? paint)(value, most).map(Math.round);
          pixels.set(color, 3 * ((top + y) * width + left + x));
        }
      left += wide + gap;
    }
    top += sizeOf(row[0]!).high + gap;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png({ palette: true, colours: 64, dither: 0, compressionLevel: 9, effort: 10 })
    .toBuffer();
}
