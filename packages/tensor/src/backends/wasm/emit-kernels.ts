/** The steps of a plan as code: a table over the operations, whose kernels are in the files beside this one. */

import { FunctionBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import type { KernelOpName, ViewOpName } from '../../ops/index.ts';
import { attributesOf } from '../../ops/op.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import type { BlockedStep, BlockStep } from '../../plan/blocks.ts';
import type { Operand } from '../../plan/plan.ts';
import { type OwnAddress, ownAddress } from './address.ts';
import { convolutionKernel, convolutionScratchBytes, convolutionWorkspaceBytes } from './convolution.ts';
import { alone, type Team } from './cut.ts';
import { concatKernel, foldKernel, iotaKernel, padKernel } from './emit-assemble.ts';
import { buildBlock } from './emit-blocks.ts';
import { dropoutMask } from './emit-dropout.ts';
import {
  argmax,
  argmaxEquals,
  checkLabelsKernel,
  gatherKernel,
  oneHot,
  toIndexKernel,
} from './emit-index.ts';
import { emitPointwise } from './emit-loops.ts';
import { maxReduction } from './emit-reduce.ts';
import { scatterAddKernel, scatterAddWorkspaceBytes } from './emit-scatter.ts';
import { sumReduction } from './emit-sum.ts';
import { waitingScratchBytes } from './emit-waiting.ts';
import { buildGemm, type GemmBlock, gemmScratchBytes, type KernelName } from './gemm.ts';
import { emitProducts, productsOf, productsWorkspaceBytes } from './products.ts';
import { cutProducts } from './products-cut.ts';

export interface KernelContext {
  /** Byte offset of a tensor. */
  readonly place: (node: Node) => number;
  readonly scratch: OwnAddress;
  /** Byte offset of a step's own workspace. */
  readonly workspace: (node: Node) => number;
  /** Bytes from one thread's tensors of a block to the next one's. */
  readonly localBytes: (block: BlockStep) => number;
  readonly gemm: KernelName;
  /** The threads that all run a step; undefined where one does. */
  readonly team: Team | undefined;
  /** Adds a function that a step calls. */
  readonly add: (f: FunctionBuilder) => number;
  /** The same of one that several steps call; made once for each key. */
  readonly shared: (key: string, build: () => FunctionBuilder) => number;
}

/** Axes over which a sum may be taken that are no neighbours of one another. */
const MOST_AXES = 16;

/** Bytes of scratch memory that any step may need. */
export const scratchBytes = (kernel: KernelName): number =>
  Math.max(gemmScratchBytes(kernel), convolutionScratchBytes(kernel), waitingScratchBytes(MOST_AXES));

/** Bytes that a step needs for itself while so many threads run it. */
export function workspaceBytes({ kind, output }: BlockedStep, kernel: KernelName, sharing = alone): number {
  if (kind !== 'kernel') return 0;
  if (output.op === 'matmul') {
    const products = productsOf(output);
    const cut = cutProducts(products, sharing, kernel);
    return cut ? sharing.threads * cut.workspaceBytes : productsWorkspaceBytes(products);
  }
  if (output.op === 'scatterAdd') return scatterAddWorkspaceBytes(output);
  return convolutionWorkspaceBytes(output, kernel, sharing);
}

/** A function without parameters that runs one step of a plan. */
export function buildStep(step: BlockedStep, context: KernelContext): FunctionBuilder {
  if (step.kind === 'block') return buildBlock(step, context);
  const { output } = step;
  if (step.kind === 'loop') {
    const at = ({ base, offset }: Operand) => context.place(base) + 4 * offset;
    const into = step.results.map((result) => result.into);
    const f = new FunctionBuilder();
    emitPointwise(
      f,
      step.shape,
      step.results.map(({ expression }) => expression),
      step.operands.map(at),
      step.operands.map(({ strides }) => strides),
      into.map(at),
      { strides: into.map(({ strides }) => strides) },
    );
    return f;
  }
  const emit = kernels[output.op as Exclude<KernelOpName, ViewOpName>];
  return emit(output, step.inputs.map(context.place), context.place(output), context);
}

type Emit = (
  node: Node,
  inputs: readonly number[],
  output: number,
  context: KernelContext,
) => FunctionBuilder;

/** The function of each block of a product: one for all steps that have the same. */
export const gemmOf =
  ({ shared, gemm }: KernelContext) =>
  (block: GemmBlock): number =>
    shared(`matmul ${JSON.stringify(block)}`, () => buildGemm(block, gemm));

const convolution: Emit = (node, inputs, output, context) =>
  convolutionKernel(node, inputs, output, {
    ...context,
    kernel: context.gemm,
    workspace: context.workspace(node),
  });

/** Views are pointwise steps with other strides. */
const kernels: Readonly<Record<Exclude<KernelOpName, ViewOpName>, Emit>> = {
  matmul: (node, [a, b], c, context) => {
    const { scratch, workspace } = context;
    const f = new FunctionBuilder();
    const places = { a: a!, b: b!, c, scratch: ownAddress(f, scratch), workspace: workspace(node) };
    return emitProducts(f, productsOf(node), places, gemmOf(context));
  },
  conv2d: convolution,
  conv2dInputGradient: convolution,
  conv2dWeightGradient: convolution,
  sum: (node, [x], y, { scratch }) => {
    const f = new FunctionBuilder();
    return sumReduction(node, attributesOf(sumOp, node).axes, [x!, y], ownAddress(f, scratch), f);
  },
  maxReduce: (node, [x], y) => maxReduction(node, attributesOf(maxReduceOp, node).axes, [x!, y]),
  pad: (node, [x], y) => padKernel(node, x!, y),
  concat: concatKernel,
  fold: (node, [x], y) => foldKernel(node, x!, y),
  iota: (node, _, y) => iotaKernel(node, y),
  gather: (node, [table, indices], y) => gatherKernel(node, table!, indices!, y),
  scatterAdd: (node, [values, indices], y, { scratch, workspace, team }) =>
    scatterAddKernel(node, [values!, indices!, y], scratch, workspace(node), team),
  toIndex: (node, [x], y) => toIndexKernel(node, x!, y),
  checkLabels: (node, [labels], y) => checkLabelsKernel(node, labels!, y),
  argmax: (node, [scores], y) => argmax(node, scores!, y),
  oneHot: (node, [labels], y) => oneHot(node, labels!, y),
  argmaxEquals: (node, [scores, labels], y) => argmaxEquals(node, scores!, labels!, y),
  dropoutMask: (node, [ids, key], y) => dropoutMask(node, ids!, key!, y),
};
