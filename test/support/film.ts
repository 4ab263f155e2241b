/**
 * Frames of a terminal as a picture that moves, in SVG with CSS: it plays once wherever a browser shows it, in an <img> too, and
 * rests on the last frame, which is also what a program that knows no CSS animations shows, and who asked for less motion gets.
 */
import type { Frame, Size } from './terminal.ts';

const CELL = { width: 8.4, height: 20 };
const PADDING = 16;
/** Where a line of text stands in its row. */
const BASELINE = 15;

export interface FilmOptions extends Size {
  /** How many times as fast as it was. */
  readonly speed: number;
  /** For who does not see it. */
  readonly title: string;
}

export function film(frames: readonly Frame[], { columns, rows, speed, title }: FilmOptions): string {
  const seconds = frames.at(-1)!.at / speed;
  const percent = ({ at }: Frame) => `${Number(((100 * at) / speed / seconds).toFixed(2))}%`;
  const [width, height] = [columns * CELL.width + 2 * PADDING, rows * CELL.height + 2 * PADDING];
  const strips = Array.from({ length: rows }, (_, row) => {
    // A row is a strip of all that it ever shows, one below the other, behind a window of one line.
    const lines = [...new Set(frames.map((frame) => frame.rows[row]!))];
    const place = (line: string) => -CELL.height * lines.indexOf(line);
    const changes = frames.filter((frame, i) => i === 0 || frame.rows[row] !== frames[i - 1]!.rows[row]);
    const last = place(changes.at(-1)!.rows[row]!);
    const cells = lines.map((line, i) => drawn(line, i * CELL.height)).join('');
    const moves = changes.map(
      (frame) => `${percent(frame)}{transform:translateY(${place(frame.rows[row]!)}px)}`,
    );
    return {
      rule:
        changes.length > 1 ? [`#r${row}{animation-name:r${row}}@keyframes r${row}{${moves.join('')}}`] : [],
      strip: `<svg x="${PADDING}" y="${PADDING + row * CELL.height}" width="${columns * CELL.width}" height="${CELL.height}"><g id="r${row}" transform="translate(0 ${last})">${cells}</g></svg>`,
    };
  });
  const note =
    speed === 1
      ? []
      : [
          `<text class="note" x="${width - PADDING}" y="${PADDING + BASELINE}" text-anchor="end">${speed} times as fast as it was</text>`,
        ];
  const style = [
    `text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d5d9e0}`,
    `.on{fill:#d5d9e0}.off{fill:#454b57}.note{fill:#7d8492}`,
    `g{animation:${seconds.toFixed(2)}s step-end forwards}`,
    ...strips.flatMap(({ rule }) => rule),
    '@media(prefers-reduced-motion:reduce){g{animation:none!important}}',
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" xml:space="preserve">`,
    `<title>${escaped(title)}</title>`,
    `<style>${style.join('\n')}</style>`,
    `<rect width="100%" height="100%" rx="8" fill="#171a21"/>`,
    ...strips.map(({ strip }) => strip),
    ...note,
    '</svg>\n',
  ].join('\n');
}

/** A line: bars as areas, since glyphs of them differ from font to font, and text as wide as its cells, whatever the font. */
function drawn(line: string, y: number): string {
  return [...line.matchAll(/█+|░+|[^█░\s]+(?: [^█░\s]+)*/g)]
    .map(({ 0: run, index }) => {
      const place = `x="${size(index)}" y="${run[0] === '█' || run[0] === '░' ? y + 3 : y + BASELINE}"`;
      if (run[0] === '█') return `<rect class="on" ${place} width="${size(run.length)}" height="14"/>`;
      if (run[0] === '░') return `<rect class="off" ${place} width="${size(run.length)}" height="14"/>`;
      return `<text ${place} textLength="${size(run.length)}">${escaped(run)}</text>`;
    })
    .join('');
}

const size = (cells: number) => Number((cells * CELL.width).toFixed(1));

const escaped = (text: string) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/**
 * As many frames as an eye needs, of a screen that is watched `speed` times as fast: of those that come closer together the last.
 * The last frame of all is kept, and stays.
 */
export function thinned(frames: readonly Frame[], speed: number, perSecond: number): Frame[] {
  const slot = ({ at }: Frame) => Math.floor((at / speed) * perSecond);
  return frames.filter((frame, i) => i === frames.length - 1 || slot(frame) !== slot(frames[i + 1]!));
}
