/** How an updater adds the gradients of shards, along their tree. */

import type { ParameterSpec } from '../../nn/model.ts';
import { addAlongTree, type ShardGroup } from '../../ops/shard-tree.ts';
import { BLOCK, blocksOf, type RoundedNode } from '../../optim/rounding.ts';
import type { Part, Updater } from '../../optim/updater.ts';
import { add, input } from '../../scalar/expression.ts';
import { finiteCheck } from './finite.ts';
import type { BlockRounder } from './rounding.ts';
import { type Pass, treePasses } from './tree-passes.ts';
import { type Addresses, CHUNK, type Instantiate, PARTS_A_PASS, type RunLoop } from './updater-loops.ts';

export interface Running {
  readonly memory: WebAssembly.Memory;
  readonly instantiate: Instantiate;
  readonly runLoop: RunLoop;
}

/** Adds parts chunk by chunk, a few of them in each pass. */
export function adder(
  gradient: Float32Array,
  at: Addresses,
  { memory, instantiate, runLoop }: Running,
): Updater['sum'] {
  const areFinite = finiteCheck(memory, instantiate);
  const chunks = at.chunks.map((address) => new Float32Array(memory.buffer, address, CHUNK));
  /** Of the last sum: mostly the next one has as many parts. */
  let known: { readonly counts: string; readonly passes: readonly Pass[] } | undefined;
  const passesOf = (counts: readonly number[]) => {
    const key = counts.join();
    if (known?.counts !== key) known = { counts: key, passes: treePasses(counts, PARTS_A_PASS) };
    return known.passes;
  };
  return (parts, start, { counts = parts.map(() => 1) } = {}) => {
    const length = checkedLength(parts, start, gradient.length);
    if (parts.length === 1) {
      copy(parts[0]!, 0, gradient.subarray(start, start + length));
      return areFinite(at.gradient + 4 * start, length);
    }
    const passes = passesOf(counts);
    let finite = true;
    for (let from = 0; from < length; from += CHUNK) {
      const count = Math.min(CHUNK, length - from);
      for (const { operands, sum, into, key } of passes) {
        let filled = 0;
        const used = operands.map((operand) => {
          if ('place' in operand) return at.chunks[PARTS_A_PASS + operand.place]!;
          copy(parts[operand.part]!, from, chunks[filled]!.subarray(0, count));
          return at.chunks[filled++]!;
        });
        const outputChunk = into === undefined ? undefined : at.chunks[PARTS_A_PASS + into]!;
        const loop = {
          key,
          expressions: [sum],
          inputs: [],
          chunks: used,
          outputs: [at.gradient],
          outputChunk,
        };
        runLoop({ ...loop, scalars: [] }, start + from, count, []);
      }
      finite = areFinite(at.gradient + 4 * (start + from), count) && finite;
    }
    return finite;
  };
}

function copy(part: Float32Array | Part, at: number, into: Float32Array): void {
  if (part instanceof Float32Array) into.set(part.subarray(at, at + into.length));
  else part.read(at, into);
}

/** The same where each sum of two is rounded. Parts are rounded already. */
export function roundedAdder(
  gradient: Float32Array,
  at: Addresses,
  { memory, instantiate, runLoop }: Running,
  parameters: readonly ParameterSpec[],
  rounder: BlockRounder,
): Updater['sum'] {
  const areFinite = finiteCheck(memory, instantiate);
  const visitBlocks = blocksOf(parameters);
  const chunks = at.chunks.map((address) => new Float32Array(memory.buffer, address, CHUNK));
  const addition = {
    expressions: [add(input(0), input(1))],
    inputs: [],
    outputs: [at.gradient],
    scalars: [],
  };
  /** Adds two chunks, and rounds what becomes of them: floats [start, end) of the updater. */
  const addTwo = (
    into: number,
    other: number,
    start: number,
    end: number,
    shift: number,
    node: RoundedNode,
  ) => {
    const [left, right] = [at.chunks[into]!, at.chunks[other]!];
    const loop = { ...addition, key: `add ${into} ${other}`, chunks: [left, right], outputChunk: left };
    runLoop(loop, 0, end - start, []);
    visitBlocks(start, end, (from, to) =>
      rounder.round(left + 4 * (from - start), shift + from, shift + to, node),
    );
  };
  return (parts, start, { counts = parts.map(() => 1), step = 0, origin = start } = {}) => {
    const length = checkedLength(parts, start, gradient.length);
    if (start % BLOCK !== 0 || origin % BLOCK !== 0)
      throw new RangeError(`sum: floats ${start} and on, from ${origin}; expected multiples of ${BLOCK}`);
    const leaves = leavesOf(counts);
    let finite = true;
    for (let from = 0; from < length; from += CHUNK) {
      const count = Math.min(CHUNK, length - from);
      const [first, end] = [start + from, start + from + count];
      const free = chunks.map((_, place) => place);
      const placeOf = ({ part, place }: Node): number => {
        if (part === undefined) return place!;
        const chunk = free.pop()!;
        copy(parts[part]!, from, chunks[chunk]!.subarray(0, count));
        return chunk;
      };
      const join = (left: Node, right: Node): Node => {
        const [place, other] = [placeOf(left), placeOf(right)];
        const group = { first: left.first, count: left.count + right.count };
        addTwo(place, other, first, end, origin - start, { step, ...group });
        free.push(other);
        return { ...group, place };
      };
      const { part, place } = addAlongTree(leaves, join, counts);
      const into = gradient.subarray(first, end);
      if (part === undefined) into.set(chunks[place!]!.subarray(0, count));
      else copy(parts[part]!, from, into);
      finite = areFinite(at.gradient + 4 * first, count) && finite;
    }
    return finite;
  };
}

/** Floats of a node of the tree: those of a part, or what lies in a chunk. */
interface Node extends ShardGroup {
  readonly part?: number;
  readonly place?: number;
}

function leavesOf(counts: readonly number[]): Node[] {
  let next = 0;
  return counts.map((count, part) => {
    next += count;
    return { first: next - count, count, part };
  });
}

/** @throws RangeError */
function checkedLength(parts: readonly (Float32Array | Part)[], start: number, most: number): number {
  const length = parts[0]?.length ?? 0;
  if (length === 0 || parts.some((part) => part.length !== length) || start + length > most)
    throw new RangeError(
      `sum: parts of [${parts.map((part) => part.length).join()}] floats at ${start}; expected equal lengths, within ${most}`,
    );
  return length;
}
