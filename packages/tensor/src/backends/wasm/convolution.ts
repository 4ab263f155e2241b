/**
 * Convolution and its adjoints as matrix products of patches. Blocks of patches are copied to where the product reads them
 * (`patches.ts`), and the weights once to panels. In the gradient of the image the places are those of the image, cut into
 * phases by the stride: places of one phase are reached by the same elements of the window, so that nothing is multiplied by
 * zeros between strides.
 *
 * Blocks split places and filters, or are runs of the sums that `ops/conv2d.ts` defines, whatever the kernel.
 */

import { FunctionBuilder, type Local } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes, type Pair, usesWinograd } from '../../ops/conv2d.ts';
import { levelsOf } from '../../ops/summation.ts';
import { sizeOf } from '../../shape.ts';
import { blockCaller, type ConvolutionContext } from './convolution-block.ts';
import { depthwiseKernel, isDepthwise } from './depthwise.ts';
import { emitFill } from './emit-loops.ts';
import { emitAddition, emitRuns } from './emit-runs.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { BlockEmitter, blockScratchBytes, type TileShape } from './gemm-block.ts';
import { type PatchShape, PatchWalker, patchBlocks } from './patches.ts';
import { winogradKernel, winogradWorkspaceBytes } from './winograd.ts';

/** Most elements of a patch that are multiplied at a time, which are a run of the sum: three pixels by three of 32 channels. */
const DEPTH = 288;
/** Most places that are multiplied at a time. */
const PLACES = 240;
/** Elements left free behind each copied patch. */
const ROW_GAP = 16;
/** Height of the tiles of a weight's gradient: four elements of a patch are copied at a time. */
const COLUMN_TILE = 4;
/** Places of a run of the sum in a weight's gradient. */
const SUMMED_PLACES = 256;

/** Bytes of scratch memory that blocks of patches need. */
export const convolutionScratchBytes = (kernel: KernelName): number =>
  blockScratchBytes(kernelShapes[kernel]) + 4 * PLACES * (DEPTH + ROW_GAP);

const panelsOf = (filters: number, kernel: KernelName) => Math.ceil(filters / kernelShapes[kernel].columns);

const placesOf = ({ samples, places }: ConvolutionSizes) => samples * places[0] * places[1];

/** Bytes of the sums over places that wait in a weight's gradient. */
const waitingBytes = (sizes: ConvolutionSizes) =>
  levelsOf(placesOf(sizes), SUMMED_PLACES) * 4 * PLACES * sizes.filters;

/** Bytes of workspace of a step: the weight as panels, and a block of results that are then put in their places. */
export function convolutionWorkspaceBytes(node: Node, kernel: KernelName): number {
  if (node.op !== 'conv2d' && node.op !== 'conv2dInputGradient' && node.op !== 'conv2dWeightGradient')
    return 0;
  if (isDepthwise(convolutionSizes(node))) return 0;
  if (usesWinograd(convolutionSizes(node))) return winogradWorkspaceBytes(node, kernel);
  if (node.op === 'conv2dWeightGradient') return waitingBytes(convolutionSizes(node));
  const { window, channels, filters } = convolutionSizes(node);
  const [depth, width] = node.op === 'conv2d' ? [channels, filters] : [filters, channels];
  const columns = panelsOf(width, kernel) * kernelShapes[kernel].columns;
  return 4 * (window[0] * window[1] * depth * columns + PLACES * columns);
}

/** Elements of the window that are summed, along one axis, and where in the image the first place has the first of them. */
interface Taps {
  /** Index in the window of the first, and from one to the next. */
  readonly first: number;
  readonly step: number;
  /** From the pixel of a place to theirs, ascending. */
  readonly offsets: readonly number[];
}

/** One product: patches of an image times a part of the weight. */
interface Product {
  readonly samples: number;
  readonly patch: PatchShape;
  readonly taps: readonly [rows: Taps, columns: Taps];
  /** Columns of the product. */
  readonly width: number;
  /** The weight as it lies in memory, in bytes: between rows and columns of the window, and of the product's second matrix. */
  readonly weight: {
    readonly rows: number;
    readonly columns: number;
    readonly row: number;
    readonly column: number;
  };
  /** Where results go, unless they follow one another. */
  readonly target: PatchShape | undefined;
  /** Bytes from one result to the next. */
  readonly resultRow: number;
}

/** A function that computes a convolution node. */
export function convolutionKernel(
  node: Node,
  [x, w]: readonly number[],
  y: number,
  context: ConvolutionContext,
): FunctionBuilder {
  const f = new FunctionBuilder();
  const sizes = convolutionSizes(node);
  if (sizeOf(node.shape) === 0) return f;
  // Sums of nothing.
  if (node.inputs.some(({ shape }) => sizeOf(shape) === 0)) {
    emitFill(f, y, sizeOf(node.shape), 0);
    return f;
  }
  if (usesWinograd(sizes)) return winogradKernel(node, [x!, w!], y, context);
  if (isDepthwise(sizes)) return depthwiseKernel(node, [x!, w!], y);
  for (let group = 0; group < sizes.groups; group++) {
    const { channels, filters, groups } = sizes;
    const [c, n] = [4 * group * channels, 4 * group * filters];
    if (node.op === 'conv2d') {
      product(f, forwards(sizes), x! + c, w! + n, y + n, context);
    } else if (node.op === 'conv2dInputGradient') {
      const phases = phasesOf(sizes);
      // Places that no window reaches.
      if (group === 0 && phases.length < sizes.stride[0] * sizes.stride[1])
        emitFill(f, y, sizeOf(node.shape), 0);
      for (const { product: one, offset } of phases)
        product(f, one, x! + n, w! + n, y + 4 * offset + c, context);
    } else {
      weightGradient(f, sizes, x! + c, w! + n, y + n, groups, context);
    }
  }
  return f;
}

const forwardTaps = ({ window, dilation, padding }: ConvolutionSizes, axis: 0 | 1): Taps => ({
  first: 0,
  step: 1,
  offsets: Array.from({ length: window[axis] }, (_, i) => i * dilation[axis] - padding[axis]),
});

/** The patches under the window. */
function windowPatch(sizes: ConvolutionSizes): PatchShape {
  const { image, groups, channels, places, stride } = sizes;
  const [rows, columns] = [forwardTaps(sizes, 0).offsets, forwardTaps(sizes, 1).offsets];
  return { image, pixel: groups * channels, channels, places, stride, rows, columns };
}

function forwards(sizes: ConvolutionSizes): Product {
  const { samples, window, groups, channels, filters } = sizes;
  const row = 4 * groups * filters;
  return {
    samples,
    patch: windowPatch(sizes),
    taps: [forwardTaps(sizes, 0), forwardTaps(sizes, 1)],
    width: filters,
    weight: { rows: window[1] * channels * row, columns: channels * row, row, column: 4 },
    target: undefined,
    resultRow: row,
  };
}

/** The products that make an image's gradient, one for each phase of the stride that any window reaches. */
function phasesOf(sizes: ConvolutionSizes): { product: Product; offset: number }[] {
  const { samples, image, window, stride, padding, dilation, groups, channels, filters } = sizes;
  /** Window elements that reach pixels `phase`, `phase` + stride ...: the last first, so that places ascend. */
  const tapsOf = (axis: 0 | 1, phase: number): Taps | undefined => {
    const reaching = Array.from({ length: window[axis] }, (_, i) => window[axis] - 1 - i).filter(
      (i) => (phase + padding[axis] - i * dilation[axis]) % stride[axis] === 0,
    );
    if (phase >= image[axis] || reaching.length === 0) return undefined;
    return {
      first: reaching[0]!,
      step: (reaching[1] ?? reaching[0]!) - reaching[0]!,
      offsets: reaching.map((i) => (phase + padding[axis] - i * dilation[axis]) / stride[axis]),
    };
  };
  const own = 4 * groups * filters;
  const pixel = groups * channels;
  const found: { product: Product; offset: number }[] = [];
  for (let top = 0; top < stride[0]; top++) {
    for (let left = 0; left < stride[1]; left++) {
      const taps = [tapsOf(0, top), tapsOf(1, left)] as const;
      if (!taps[0] || !taps[1]) continue;
      const extents: Pair = [
        Math.ceil((image[0] - top) / stride[0]),
        Math.ceil((image[1] - left) / stride[1]),
      ];
      const [rows, columns] = [taps[0].offsets, taps[1].offsets];
      const target = { image, pixel, channels, places: extents, stride, rows: [0], columns: [0] };
      const product: Product = {
        samples,
        patch: {
          image: sizes.places,
          pixel: groups * filters,
          channels: filters,
          places: extents,
          stride: [1, 1],
          rows,
          columns,
        },
        taps: [taps[0], taps[1]],
        width: channels,
        weight: { rows: window[1] * channels * own, columns: channels * own, row: 4, column: own },
        target: stride[0] * stride[1] > 1 ? target : undefined,
        resultRow: 4 * pixel,
      };
      found.push({ product, offset: (top * image[1] + left) * pixel });
    }
  }
  return found;
}

/** Patches of the image at `from` times the weight at `weight`, to `to`. */
function product(
  f: FunctionBuilder,
  shape: Product,
  from: number,
  weight: number,
  to: number,
  context: ConvolutionContext,
): void {
  const { samples, patch, taps, width, target, resultRow } = shape;
  const tile = kernelShapes[context.kernel];
  const panelRow = 4 * tile.columns;
  const elements = taps[0].offsets.length * taps[1].offsets.length * patch.channels;
  const panels = context.workspace;
  const results = panels + panelRow * panelsOf(width, context.kernel) * elements;
  packWeight(f, shape, weight, panels, context);

  const count = samples * patch.places[0] * patch.places[1];
  const walker = new PatchWalker(f, patch);
  const writer = target && new PatchWalker(f, target);
  const [image, c] = [f.local('i32'), f.local('i32')];
  f.i32(from).set(image);
  walker.start(image);
  f.i32(to).set(c);
  if (writer) {
    writer.start(c);
    f.i32(results).set(c);
  }
  const a = f.local('i32');
  f.i32(context.scratch + blockScratchBytes(tile)).set(a);
  const blocks = patchBlocks(patch, DEPTH);
  const callBlock = blockCaller(f, context);
  const cRow = writer ? 4 * width : resultRow;
  const part = (rows: number) => {
    walker.save();
    for (const [index, block] of blocks.entries()) {
      if (index > 0) walker.restore();
      const aRow = 4 * (block.depth + ROW_GAP);
      walker.copyRows(rows, block, a, aRow);
      callBlock(
        tile,
        {
          m: rows,
          n: width,
          depth: block.depth,
          a: { row: aRow, column: 4, tile: tile.rows * aRow },
          b: { panel: panelRow * elements },
          cRow,
          fresh: index === 0,
        },
        () =>
          f
            .get(a)
            .i32(panels + panelRow * block.first)
            .get(c),
      );
    }
    if (writer) writer.scatterRows(rows, c, cRow);
    else f.advance(c, rows * cRow);
  };
  const each = Math.min(PLACES, count);
  f.repeat(Math.floor(count / each), () => part(each));
  if (count % each > 0) part(count % each);
}

/** Copies the part of a weight that belongs to the taps to panels, in the order in which patches have them. */
function packWeight(
  f: FunctionBuilder,
  { taps: [rows, columns], patch: { channels: depth }, width, weight: strides }: Product,
  weight: number,
  panels: number,
  { scratch, kernel }: ConvolutionContext,
): void {
  const tile = kernelShapes[kernel];
  const [panel, alongRows, alongColumns, to, unused] = [0, 1, 2, 3, 4].map(() => f.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  f.i32(weight + rows.first * strides.rows + columns.first * strides.columns).set(panel);
  f.i32(panels).set(to).i32(scratch).set(unused);
  const blocks = new BlockEmitter(f, tile, unused);
  const one = (count: number) => {
    f.get(panel).set(alongRows);
    f.repeat(rows.offsets.length, () => {
      f.get(alongRows).set(alongColumns);
      f.repeat(columns.offsets.length, () => {
        blocks.copyPanel(alongColumns, strides, depth, count, to);
        f.advance(alongColumns, columns.step * strides.columns).advance(to, 4 * tile.columns * depth);
      });
      f.advance(alongRows, rows.step * strides.rows);
    });
    f.advance(panel, tile.columns * strides.column);
  };
  const whole = Math.floor(width / tile.columns);
  f.repeat(whole, () => one(tile.columns));
  if (width > whole * tile.columns) one(width - whole * tile.columns);
}

function weightGradient(
  f: FunctionBuilder,
  sizes: ConvolutionSizes,
  x: number,
  g: number,
  to: number,
  groups: number,
  context: ConvolutionContext,
): void {
  const { filters } = sizes;
  const tile: TileShape = { ...kernelShapes[context.kernel], rows: COLUMN_TILE };
  const patch = windowPatch(sizes);
  const walker = new PatchWalker(f, patch);
  const row = 4 * groups * filters;
  const [image, a, b] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.i32(x)
    .set(image)
    .i32(context.scratch + blockScratchBytes(tile))
    .set(a);
  const callBlock = blockCaller(f, context);
  for (const block of patchBlocks(patch, PLACES)) {
    walker.start(image);
    f.i32(g).set(b);
    /** Where a sum is: the result, or one that waits. */
    const target = (level: number) =>
      level === 0
        ? { at: to + block.first * row, row: groups * filters }
        : { at: context.workspace + (level - 1) * 4 * PLACES * filters, row: filters };
    const run = (along: number, level: number, fresh: boolean) => {
      // Tiles of 4 KiB would all lie on the same lines of the cache.
      const apart = 4 * COLUMN_TILE * along + 64;
      walker.copyColumns(along, block, a, apart);
      const c = target(level);
      callBlock(
        tile,
        {
          m: block.depth,
          n: filters,
          depth: along,
          a: { row: 4, column: 4 * COLUMN_TILE, tile: apart },
          b: { row, column: 4 },
          cRow: 4 * c.row,
          fresh,
        },
        () => f.get(a).get(b).i32(c.at),
      );
      f.advance(b, along * row);
    };
    emitRuns(f, placesOf(sizes), SUMMED_PLACES, {
      run,
      join: (level) => emitAddition(f, [block.depth, filters], target(level), target(level - 1)),
    });
  }
}
