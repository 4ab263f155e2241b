/** The gradient of a convolution's weight: sums over places, of blocks of a patch's elements. */
import type { FunctionBuilder } from '../../assembler.ts';
import type { ConvolutionSizes } from '../../ops/conv2d.ts';
import { levelsOf } from '../../ops/summation.ts';
import { behind, ownAddress, setAddress } from './address.ts';
import { blockCaller, type ConvolutionContext } from './convolution-block.ts';
import { windowPatch } from './convolution-taps.ts';
import { onThread } from './cut.ts';
import { emitAddition, emitRuns } from './emit-runs.ts';
import { kernelShapes } from './gemm.ts';
import { blockScratchBytes, type TileShape } from './gemm-block.ts';
import { type PatchBlock, type PatchShape, PatchWalker, patchBlocks } from './patches.ts';

/** Most elements of a patch that are summed at a time. */
const ELEMENTS = 240;
/** Height of the tiles: four elements of a patch are copied at a time. */
const COLUMN_TILE = 4;
/** Places of a run of the sum. */
const SUMMED_PLACES = 256;

const placesOf = ({ samples, places }: ConvolutionSizes) => samples * places[0] * places[1];

/** Bytes of the sums over places that wait, of one thread. */
export const weightWaitingBytes = (sizes: ConvolutionSizes): number =>
  levelsOf(placesOf(sizes), SUMMED_PLACES) * 4 * ELEMENTS * sizes.filters;

/** The blocks of a patch, which are parts of the result: for several threads as many for each where that can be. */
function blocksFor(patch: PatchShape, threads: number): readonly PatchBlock[] {
  if (threads === 1) return patchBlocks(patch, ELEMENTS);
  const elements = patch.rows.length * patch.columns.length * patch.channels;
  const wanted = threads * Math.ceil(elements / ELEMENTS / threads);
  return patchBlocks(patch, COLUMN_TILE * Math.ceil(elements / wanted / COLUMN_TILE));
}

/** Which thread takes each block: the one that has the least to do. */
function ownersOf(blocks: readonly PatchBlock[], threads: number): readonly number[] {
  const loads = Array.from({ length: threads }, () => 0);
  return blocks.map(({ depth }) => {
    const owner = loads.indexOf(Math.min(...loads));
    loads[owner]! += depth;
    return owner;
  });
}

export function weightGradient(
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
  f.i32(x).set(image);
  setAddress(f, a, behind(ownAddress(f, context.scratch), blockScratchBytes(tile)));
  const callBlock = blockCaller(f, context);
  const threads = context.team?.threads ?? 1;
  const blocks = blocksFor(patch, threads);
  const owners = ownersOf(blocks, threads);
  const take = (block: PatchBlock, owner: number) => {
    walker.start(image);
    f.i32(g).set(b);
    const waiting = context.workspace + owner * weightWaitingBytes(sizes);
    /** Where a sum is: the result, or one that waits. */
    const target = (level: number) =>
      level === 0
        ? { at: to + block.first * row, row: groups * filters }
        : { at: waiting + (level - 1) * 4 * ELEMENTS * filters, row: filters };
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
  };
  for (const [index, block] of blocks.entries()) {
    const owner = owners[index]!;
    if (threads > 1) onThread(f, owner, () => take(block, owner));
    else take(block, owner);
  }
}
