/** The window of a Winograd convolution: to the numbers that are multiplied, and from their gradients to its own. */
import type { FunctionBuilder, Local } from '../../assembler.ts';
import { type OwnAddress, ownAddress, setAddress } from './address.ts';
import { cutOf, emitPanels, emitParts, LINE, moveToPart, type Team } from './cut.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { eachVectors, GAP, sideOf, type TiledShape } from './winograd-tiles.ts';
import { maps, TileMapper, transposed } from './winograd-transforms.ts';

/** Bytes of a mapped window from one of its points to the next: those of one element do not fall on the same lines of the cache. */
export function bytesOfPoint({ channels, filters }: TiledShape, kernel: KernelName): number {
  const { columns } = kernelShapes[kernel];
  return 4 * (channels * columns * Math.ceil(filters / columns) + GAP);
}

interface WindowPlaces {
  readonly kernel: KernelName;
  /** Where the mapped window is. */
  readonly window: number;
  /** Room for nine squares. */
  readonly edge: OwnAddress;
  readonly team: Team | undefined;
}

export class WindowEmitter {
  readonly #f: FunctionBuilder;
  readonly #shape: TiledShape;
  readonly #kernel: KernelName;
  readonly #window: number;
  readonly #edge: OwnAddress;
  readonly #team: Team | undefined;
  readonly #mapper: TileMapper;
  readonly #lines: readonly Local[];

  constructor(f: FunctionBuilder, shape: TiledShape, { kernel, window, edge, team }: WindowPlaces) {
    this.#f = f;
    this.#shape = shape;
    this.#kernel = kernel;
    this.#window = window;
    this.#edge = edge;
    this.#team = team;
    this.#mapper = new TileMapper(f);
    this.#lines = Array.from({ length: 4 }, () => f.local('v128'));
  }

  /** Maps the window to panels of a matrix product, [points, panels, channels, columns of a panel]. */
  map(window: number, turned: boolean): void {
    const f = this.#f;
    const { channels, filters, tile } = this.#shape;
    const { columns } = kernelShapes[this.#kernel];
    const point = bytesOfPoint(this.#shape, this.#kernel);
    const tap = 4 * channels * filters;
    const [panel, from, first, to] = [0, 1, 2, 3].map(() => f.local('i32')) as [Local, Local, Local, Local];
    const edge = f.local('i32');
    setAddress(f, edge, ownAddress(f, this.#edge));
    const mapOne = (load: (i: number, j: number) => void, at: number) =>
      this.#mapper.map(maps[tile].window, 1, load, (i, j, _, push) => {
        f.get(to);
        push();
        f.memory('v128Store', (i * sideOf(this.#shape) + j) * point + at);
      });
    /** Four filters of one channel, which lie together. */
    const straight = (width: number) => {
      f.repeat(channels, () => {
        f.repeat(width / 4, () => {
          mapOne((i, j) => f.get(from).memory('v128Load', (3 * i + j) * tap), 0);
          f.advance(from, 16).advance(to, 16);
        });
        f.advance(from, 4 * (filters - width)).advance(to, 4 * (columns - width));
      });
      f.advance(first, 4 * width);
    };
    /** Four filters of four channels: squares, in which the channels lie together, are turned first. */
    const turnedRound = (width: number) => {
      f.repeat(channels / 4, () => {
        f.repeat(width / 4, () => {
          this.#turnSquares(from, tap, 4 * channels, edge);
          for (let channel = 0; channel < 4; channel++) {
            const at = (i: number, j: number) => 16 * (4 * (8 - (3 * i + j)) + channel);
            mapOne((i, j) => f.get(edge).memory('v128Load', at(i, j)), 4 * columns * channel);
          }
          f.advance(from, 16 * channels).advance(to, 16);
        });
        f.advance(from, 16 - 4 * channels * width).advance(to, 4 * (4 * columns - width));
      });
      f.advance(first, 4 * channels * width);
    };
    const ofPanel = (width: number) => {
      f.get(first).set(from).get(panel).set(to);
      if (turned) turnedRound(width);
      else straight(width);
      f.advance(panel, 4 * channels * columns);
    };
    const pointers = [
      { local: first, at: window, apart: columns * (turned ? 4 * channels : 4) },
      { local: panel, at: this.#window, apart: 4 * channels * columns },
    ];
    emitPanels(f, { width: filters, columns }, pointers, this.#team, ofPanel);
  }

  /** Copies a square of 4 x 4 of each of the nine elements of the window, rows and columns exchanged. */
  #turnSquares(from: Local, tap: number, row: number, to: Local): void {
    const f = this.#f;
    const lines = this.#lines;
    const [a, b, c, d] = lines as [Local, Local, Local, Local];
    for (let element = 0; element < 9; element++) {
      for (const [i, line] of lines.entries())
        f.get(from)
          .memory('v128Load', element * tap + i * row)
          .set(line);
      for (let column = 0; column < 4; column++) {
        const high = column - (column % 2);
        const pair = 2 * (column % 2);
        f.get(to);
        f.get(a)
          .get(b)
          .shuffle32(high, 4 + high, 1 + high, 5 + high);
        f.get(c)
          .get(d)
          .shuffle32(high, 4 + high, 1 + high, 5 + high);
        f.shuffle32(pair, 1 + pair, 4 + pair, 5 + pair).memory('v128Store', 16 * (4 * element + column));
      }
    }
  }

  /** From the gradient of the mapped window, [points, channels, filters], to that of the window. */
  unmap(to: number): void {
    const f = this.#f;
    const { channels, filters } = this.#shape;
    const tap = 4 * channels * filters;
    const point = bytesOfPoint(this.#shape, this.#kernel);
    const [from, into] = [f.local('i32'), f.local('i32')];
    const take = (elements: number) =>
      eachVectors(f, elements, [from, into], (lanes) =>
        this.#mapper.map(
          transposed(maps[this.#shape.tile].window),
          lanes,
          (i, j, lane) => f.get(from).memory('v128Load', (i * sideOf(this.#shape) + j) * point + 16 * lane),
          (i, j, lane, push) => {
            f.get(into);
            push();
            f.memory('v128Store', (3 * i + j) * tap + 16 * lane);
          },
        ),
      );
    f.i32(this.#window).set(from).i32(to).set(into);
    if (!this.#team) {
      take(channels * filters);
      return;
    }
    const cut = cutOf(channels * filters, this.#team.threads, LINE);
    for (const pointer of [from, into]) moveToPart(f, cut, pointer, 4);
    emitParts(f, cut, this.#team.threads, take);
  }
}
