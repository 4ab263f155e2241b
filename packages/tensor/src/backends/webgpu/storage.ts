/** Where a program's tensors lie on a device: in the buffer of words, or in the buffer of halves. */
import type { Node } from '../../graph.ts';
import { alignUp, layOut } from '../../plan/arena.ts';
import type { Plan } from '../../plan/plan.ts';
import { sizeOf } from '../../shape.ts';
import { workspaceOf } from './wgsl-kernels.ts';
import type { TensorPlace } from './wgsl-module.ts';

/**
 * f32: everything. f16: what the forward pass computes for the backward pass, the bulk of a training step's memory, takes half as
 * much; inputs, parameters, outputs, sums and gradients stay f32, and everything is computed in f32. It needs a device with
 * shader-f16. f16-rounded: the numbers of f16 in the memory of f32, on any device: for seeing what f16 would do to a model.
 */
export type Storage = 'f32' | 'f16' | 'f16-rounded';

/** Elements below which a tensor is not worth halving: statistics and the like, whose precision is. */
const LEAST_HALVED = 64;

export interface DevicePlaces {
  readonly place: (node: Node) => TensorPlace;
  /** First word of the workspace of the step that computes a node. */
  readonly workspace: (node: Node) => number | undefined;
  /** Bytes of the buffer of words. */
  readonly words: number;
  /** Bytes of the buffer of halves; never 0, which no buffer may be. */
  readonly halves: number;
}

/** Lays out what a plan computes. `leaves` have their places, all before byte `start`. */
export function placeOnDevice(
  plan: Plan,
  leaves: ReadonlyMap<Node, number>,
  start: number,
  storage: Storage,
): DevicePlaces {
  const kept = new Set(plan.outputs);
  const halved = storage === 'f32' ? [] : plan.steps.map(({ output }) => output).filter(isHalved(kept));
  const whole = plan.steps.map(({ output }) => output).filter((node) => !halved.includes(node));
  const elsewhere = (nodes: readonly Node[]) => nodes.map((node) => [node, 0] as const);
  const words = layOut(plan.steps, start, new Map([...leaves, ...elsewhere(halved)]), kept, workspaceOf);
  const width = storage === 'f16' ? 2 : 4;
  const halves = layOut(plan.steps, 0, new Map([...leaves, ...elsewhere(whole)]), kept, () => 0, { width });
  const inHalves = new Set(halved);
  return {
    place: (node) =>
      inHalves.has(node)
        ? { start: halves.offsets.get(node)! / width, half: true }
        : { start: words.offsets.get(node)! / 4, half: false },
    workspace: (node) => {
      const offset = words.workspaces.get(node);
      return offset === undefined ? undefined : offset / 4;
    },
    words: alignUp(words.end),
    halves: Math.max(ALIGNED, alignUp(halves.end)),
  };
}

const ALIGNED = 64;

/** A sum is the place where precision is lost first, and seldom large. */
const isHalved = (kept: ReadonlySet<Node>) => (node: Node) =>
  node.dtype === 'f32' &&
  node.origin.pass === 'forward' &&
  node.op !== 'sum' &&
  sizeOf(node.shape) >= LEAST_HALVED &&
  !kept.has(node);
