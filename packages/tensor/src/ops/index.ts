/**
 * All operations, each declared once in the file that its line imports. Backends have a table over `kernelOps` and
 * one generic way for `pointwiseOps`: a missing entry does not compile.
 */

import { conv2dInputGradientOp, conv2dOp, conv2dWeightGradientOp } from './conv2d.ts';
import { dropoutMaskOp } from './dropout-mask.ts';
import { gatherOp, scatterAddOp, toIndexOp } from './gather.ts';
import { argmaxEqualsOp, argmaxOp, checkLabelsOp, oneHotOp } from './labels.ts';
import { constantOp, inputOp, iotaOp, parameterOp } from './leaf.ts';
import { matmulOp } from './matmul.ts';
import { broadcastOp, detachOp, flipOp, reshapeOp, transposeOp } from './movement.ts';
import { type Op, OpError } from './op.ts';
import { concatOp, padOp, sliceOp } from './parts.ts';
import { type PointwiseOp, pointwiseOps } from './pointwise.ts';
import { maxReduceOp, sumOp } from './reduce.ts';
import { foldOp, windowOp } from './window.ts';

/** Nodes without inputs. */
export const leafOps = { parameter: parameterOp, input: inputOp, constant: constantOp } as const;

/** Operations whose output is the input's memory under another shape or name: no backend need compute them. */
export const aliasOps = { reshape: reshapeOp, detach: detachOp } as const;

/** Operations that only say where elements of the input lie: a backend may read through them instead of copying. */
export const viewOps = {
  broadcast: broadcastOp,
  transpose: transposeOp,
  slice: sliceOp,
  flip: flipOp,
  window: windowOp,
} as const;

/** Operations that each backend computes by code of their own. */
export const kernelOps = {
  ...viewOps,
  matmul: matmulOp,
  conv2d: conv2dOp,
  conv2dInputGradient: conv2dInputGradientOp,
  conv2dWeightGradient: conv2dWeightGradientOp,
  sum: sumOp,
  maxReduce: maxReduceOp,
  pad: padOp,
  concat: concatOp,
  fold: foldOp,
  iota: iotaOp,
  gather: gatherOp,
  scatterAdd: scatterAddOp,
  toIndex: toIndexOp,
  checkLabels: checkLabelsOp,
  argmax: argmaxOp,
  oneHot: oneHotOp,
  argmaxEquals: argmaxEqualsOp,
  dropoutMask: dropoutMaskOp,
} as const;

export type LeafOpName = keyof typeof leafOps;
export type AliasOpName = keyof typeof aliasOps;
export type ViewOpName = keyof typeof viewOps;
export type KernelOpName = keyof typeof kernelOps;
export type { PointwiseName } from './pointwise.ts';
export type OpName = LeafOpName | AliasOpName | KernelOpName | keyof typeof pointwiseOps;

const all: ReadonlyMap<string, Op> = new Map<string, Op>(
  Object.entries({ ...leafOps, ...aliasOps, ...kernelOps, ...pointwiseOps } as Record<string, unknown>) as [
    string,
    Op,
  ][],
);

/** Every operation, in the order of the list. */
export const allOps: readonly Op[] = [...all.values()];

/** The declaration of a node's operation. */
export function opNamed(name: string): Op {
  const op = all.get(name);
  if (!op) throw new OpError(`no operation '${name}'; available: ${[...all.keys()].join(', ')}`);
  return op;
}

/** The declaration if the operation is pointwise. */
export function pointwiseNamed(name: string): PointwiseOp | undefined {
  return Object.hasOwn(pointwiseOps, name) ? pointwiseOps[name as keyof typeof pointwiseOps] : undefined;
}
