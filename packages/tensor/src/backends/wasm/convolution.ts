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
import { sizeOf } from '../../shape.ts';
import { behind, ownAddress, setAddress } from './address.ts';
import { blockCaller, type ConvolutionContext } from './convolution-block.ts';
import { forwardTaps, type Taps, windowPatch } from './convolution-taps.ts';
import { weightGradient, weightWaitingBytes } from './convolution-weight.ts';
import {
  alone,
  cutOf,
  emitPanels,
  emitParts,
  onThread,
  pushFirst,
  type Sharing,
  threadsForProducts,
} from './cut.ts';
import { depthwiseKernel, isDepthwise } from './depthwise.ts';
import { emitFill, emitZeros } from './emit-loops.ts';
import { type KernelName, kernelShapes } from './gemm.ts';
import { BlockEmitter, blockScratchBytes } from './gemm-block.ts';
import { type PatchShape, PatchWalker, patchBlocks } from './patches.ts';
import { winogradKernel, winogradWorkspaceBytes } from './winograd.ts';

/** Most elements of a patch that are multiplied at a time, which are a run of the sum: three pixels by three of 32 channels. */
const DEPTH = 288;
/** Most places that are multiplied at a time. */
const PLACES = 240;
/** Elements left free behind each copied patch. */
const ROW_GAP = 16;

/** Bytes of scratch memory that blocks of patches need. */
export const convolutionScratchBytes = (kernel: KernelName): number =>
  blockScratchBytes(kernelShapes[kernel]) + 4 * PLACES * (DEPTH + ROW_GAP);

const panelsOf = (filters: number, kernel: KernelName) => Math.ceil(filters / kernelShapes[kernel].columns);

/** Whether a node is a convolution, or one of its gradients. */
export const isConvolution = ({ op }: Node): boolean =>
  op === 'conv2d' || op === 'conv2dInputGradient' || op === 'conv2dWeightGradient';

/** Whether it has so much to do that several threads are worth it. */
export function isWorthCutting(node: Node, sharing: Sharing): boolean {
  const { samples, places, window, channels, filters, groups } = convolutionSizes(node);
  const products = samples * places[0] * places[1] * window[0] * window[1] * channels * filters * groups;
  return threadsForProducts(sharing, products) > 1;
}

/** Bytes of workspace of a step: the weight as panels, and a block of results that are then put in their places. */
export function convolutionWorkspaceBytes(node: Node, kernel: KernelName, sharing: Sharing): number {
  if (!isConvolution(node)) return 0;
  const sizes = convolutionSizes(node);
  const own = isWorthCutting(node, sharing) ? sharing.threads : 1;
  if (isDepthwise(sizes)) return 0;
  if (usesWinograd(sizes)) return winogradWorkspaceBytes(node, kernel, own);
  if (node.op === 'conv2dWeightGradient') return own * weightWaitingBytes(sizes);
  const { panels, results } = workspaceOf(node, kernel);
  return sizes.groups > 1 ? own * (panels + results) : panels + own * results;
}

/** Bytes of the panels, and of the block of results. */
function workspaceOf(node: Node, kernel: KernelName): { panels: number; results: number } {
  const { window, channels, filters } = convolutionSizes(node);
  const [depth, width] = node.op === 'conv2d' ? [channels, filters] : [filters, channels];
  const columns = panelsOf(width, kernel) * kernelShapes[kernel].columns;
  return { panels: 4 * window[0] * window[1] * depth * columns, results: 4 * PLACES * columns };
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
  if (isDepthwise(sizes)) return depthwiseKernel(node, [x!, w!], y, context.team);
  const phases = node.op === 'conv2dInputGradient' ? phasesOf(sizes) : [];
  // Places that no window reaches.
  if (node.op === 'conv2dInputGradient' && phases.length < sizes.stride[0] * sizes.stride[1])
    emitZeros(f, y, sizeOf(node.shape), context.team);
  const ofGroup = (group: number, own: ConvolutionContext) => {
    const { channels, filters, groups } = sizes;
    const [c, n] = [4 * group * channels, 4 * group * filters];
    if (node.op === 'conv2d') product(f, forwards(sizes), x! + c, w! + n, y + n, own);
    else if (node.op === 'conv2dWeightGradient') weightGradient(f, sizes, x! + c, w! + n, y + n, groups, own);
    else {
      for (const [index, { product: one, offset }] of phases.entries()) {
        // The panels of the one before may still be read.
        if (index > 0 && own.team) f.call(own.team.barrier);
        product(f, one, x! + n, w! + n, y + 4 * offset + c, own);
      }
    }
  };
  const { team, kernel, workspace } = context;
  if (!team || sizes.groups === 1) {
    for (let group = 0; group < sizes.groups; group++) ofGroup(group, context);
    return f;
  }
  const bytes = convolutionWorkspaceBytes(node, kernel, alone);
  for (let group = 0; group < sizes.groups; group++) {
    const thread = group % team.threads;
    const own = { ...context, team: undefined, workspace: workspace + thread * bytes };
    onThread(f, thread, () => ofGroup(group, own));
  }
  return f;
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
  const { team } = context;
  const tile = kernelShapes[context.kernel];
  const panelRow = 4 * tile.columns;
  const elements = taps[0].offsets.length * taps[1].offsets.length * patch.channels;
  const panels = context.workspace;
  const columns = panelsOf(width, context.kernel) * tile.columns;
  const results = panels + 4 * columns * elements;
  packWeight(f, shape, weight, panels, context);
  if (team) f.call(team.barrier);

  const count = samples * patch.places[0] * patch.places[1];
  const walker = new PatchWalker(f, patch);
  const writer = target && new PatchWalker(f, target);
  const [image, c] = [f.local('i32'), f.local('i32')];
  f.i32(from).set(image);
  f.i32(to).set(c);
  const cut = team && cutOf(count, team.threads, tile.rows);
  if (cut) {
    const first = f.local('i32');
    pushFirst(f, cut).set(first);
    walker.startAt(image, first);
    if (writer) writer.startAt(c, first);
    else f.get(first).i32(resultRow).op('i32Mul').get(c).op('i32Add').set(c);
  } else {
    walker.start(image);
    writer?.start(c);
  }
  if (writer) setAddress(f, c, ownAddress(f, { at: results, apart: team ? 4 * PLACES * columns : 0 }));
  const a = f.local('i32');
  setAddress(f, a, behind(ownAddress(f, context.scratch), blockScratchBytes(tile)));
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
  const all = (places: number) => {
    const each = Math.min(PLACES, places);
    f.repeat(Math.floor(places / each), () => part(each));
    if (places % each > 0) part(places % each);
  };
  if (cut) emitParts(f, cut, team.threads, all);
  else all(count);
}

/** Copies the part of a weight that belongs to the taps to panels, in the order in which patches have them. */
function packWeight(
  f: FunctionBuilder,
  { taps: [rows, columns], patch: { channels: depth }, width, weight: strides }: Product,
  weight: number,
  panels: number,
  { scratch, kernel, team }: ConvolutionContext,
): void {
  const tile = kernelShapes[kernel];
  const [panel, alongRows, alongColumns, to, unused] = [0, 1, 2, 3, 4].map(() => f.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  setAddress(f, unused, ownAddress(f, scratch));
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
  const pointers = [
    {
      local: panel,
      at: weight + rows.first * strides.rows + columns.first * strides.columns,
      apart: tile.columns * strides.column,
    },
    {
      local: to,
      at: panels,
      apart: 4 * tile.columns * depth * rows.offsets.length * columns.offsets.length,
    },
  ];
  emitPanels(f, { width, columns: tile.columns }, pointers, team, one);
}
