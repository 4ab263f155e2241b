/** The steps of a plan as code for several threads: which kernels are cut, and along what. */
import { FunctionBuilder } from '../../assembler.ts';
import { dropoutMaskOp } from '../../ops/dropout-mask.ts';
import { attributesOf } from '../../ops/op.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { foldOp } from '../../ops/window.ts';
import { collapse, type LoopAxis } from '../../plan/access.ts';
import type { BlockedStep } from '../../plan/blocks.ts';
import type { KernelStep, LoopStep } from '../../plan/merge.ts';
import type { Operand } from '../../plan/plan.ts';
import { sizeOf } from '../../shape.ts';
import { type Address, ownAddress } from './address.ts';
import { isConvolution, isWorthCutting } from './convolution.ts';
import { bestCut, type Cut, cutOf, emitParts, LINE, ofPart, type Team, threadsForElements } from './cut.ts';
import { foldKernel } from './emit-assemble.ts';
import { cutBlock } from './emit-blocks.ts';
import { dropoutMask } from './emit-dropout.ts';
import { argmax, argmaxEquals, oneHot } from './emit-index.ts';
import { buildStep, gemmOf, type KernelContext } from './emit-kernels.ts';
import { emitPointwise } from './emit-loops.ts';
import { maxReduction } from './emit-reduce.ts';
import { sumReduction } from './emit-sum.ts';
import { emitProducts, productsOf } from './products.ts';
import { cutProducts } from './products-cut.ts';
import { type ReducedAxes, reducedAxes } from './reduced-axes.ts';

export interface TeamContext extends KernelContext {
  readonly team: Team;
}

/** A function that all threads run for one step of a plan; undefined where one thread computes it alone. */
export function buildCutStep(step: BlockedStep, context: TeamContext): FunctionBuilder | undefined {
  const { team } = context;
  if (step.kind === 'block') return cutBlock(step, team.threads) && buildStep(step, context);
  if (step.kind === 'loop') return buildLoop(step, context);
  const { output } = step;
  if (isConvolution(output)) return isWorthCutting(output, team) ? buildStep(step, context) : undefined;
  const build = Object.hasOwn(builders, output.op) ? builders[output.op] : undefined;
  return build?.(step, context);
}

function buildLoop(step: LoopStep, context: TeamContext): FunctionBuilder | undefined {
  const into = step.results.map((result) => result.into);
  const tensors = [...step.operands, ...into];
  const threads = threadsForElements(context.team, sizeOf(step.shape) * tensors.length);
  if (threads === 1) return undefined;
  const axes = collapse(
    step.shape,
    tensors.map(({ strides }) => strides),
  );
  const found = bestCut(axes, threads);
  if (!found) return undefined;
  const { axis, cut } = found;
  const f = new FunctionBuilder();
  emitParts(f, cut, context.team.threads, (count) => {
    const part = new FunctionBuilder();
    const shape = axes.map(({ extent }, i) => (i === axis ? count : extent));
    const at = ({ base, offset }: Operand, i: number): Address =>
      ofPart(part, cut, context.place(base) + 4 * offset, 4 * axes[axis]!.strides[i]!);
    const stridesOf = (i: number) => axes.map(({ strides }) => strides[i]!);
    const inputs = step.operands.length;
    emitPointwise(
      part,
      shape,
      step.results.map(({ expression }) => expression),
      step.operands.map(at),
      step.operands.map((_, i) => stridesOf(i)),
      into.map((operand, i) => at(operand, inputs + i)),
      { strides: into.map((_, i) => stridesOf(inputs + i)) },
    );
    f.call(context.add(part));
  });
  return f;
}

type Build = (step: KernelStep, context: TeamContext) => FunctionBuilder | undefined;

const builders: Readonly<Record<string, Build>> = {
  matmul: ({ output, inputs: [a, b] }, context) => {
    const { place, team, scratch, workspace } = context;
    const products = productsOf(output);
    const found = cutProducts(products, team, context.gemm);
    if (!found) return undefined;
    const { along, cut, workspaceBytes } = found;
    const { m, n, k, batch, transposeA, transposeB } = products;
    const bytes = {
      batch: [m * k, k * n, m * n],
      rows: [transposeA ? 1 : k, 0, n],
      columns: [0, transposeB ? k : 1, 1],
    }[along];
    const f = new FunctionBuilder();
    const [left, right, to] = [place(a!), place(b!), place(output)].map((at, i) =>
      ofPart(f, cut, at, 4 * bytes[i]!),
    ) as [Address, Address, Address];
    const places = {
      ...{ a: left, b: right, c: to },
      scratch: ownAddress(f, scratch),
      workspace: ownAddress(f, { at: workspace(output), apart: workspaceBytes }),
    };
    emitParts(f, cut, team.threads, (count) => {
      emitProducts(f, products, places, gemmOf(context), { batch, rows: m, columns: n, [along]: count });
    });
    return f;
  },

  sum: (step, context) => {
    const { axes } = attributesOf(sumOp, step.output);
    return reduction(step, axes, context, (f, places, part) =>
      sumReduction(step.output, axes, places, ownAddress(f, context.scratch), f, part),
    );
  },
  maxReduce: (step, context) => {
    const { axes } = attributesOf(maxReduceOp, step.output);
    return reduction(step, axes, context, (f, places, part) =>
      maxReduction(step.output, axes, places, f, part),
    );
  },

  scatterAdd: (step, context) =>
    threadsForElements(context.team, sizeOf(step.output.shape)) > 1 ? buildStep(step, context) : undefined,
  fold: ({ output, inputs: [x] }, { place, team }) => {
    if (attributesOf(foldOp, output).axis === 0) return undefined;
    return byRows(output.shape[0]!, sizeOf(x!.shape), team, (f, count, cut) => {
      const [from, to] = [x!, output].map((node) =>
        ofPart(f, cut, place(node), 4 * sizeOf(node.shape.slice(1))),
      ) as [Address, Address];
      const first = { ...x!, shape: [count, ...x!.shape.slice(1)] };
      foldKernel({ ...output, shape: [count, ...output.shape.slice(1)], inputs: [first] }, from, to, f);
    });
  },
  argmax: ({ output, inputs: [scores] }, { place, team }) =>
    byRows(sizeOf(output.shape), sizeOf(scores!.shape), team, (f, count, cut) => {
      const from = ofPart(f, cut, place(scores!), 4 * scores!.shape.at(-1)!);
      argmax({ ...output, shape: [count] }, from, ofPart(f, cut, place(output), 4), f);
    }),
  argmaxEquals: ({ output, inputs: [scores, labels] }, { place, team }) =>
    byRows(sizeOf(output.shape), sizeOf(scores!.shape), team, (f, count, cut) => {
      const from = ofPart(f, cut, place(scores!), 4 * scores!.shape.at(-1)!);
      const [label, to] = [labels!, output].map((node) => ofPart(f, cut, place(node), 4));
      argmaxEquals({ ...output, shape: [count] }, from, label!, to!, f);
    }),
  oneHot: ({ output, inputs: [labels] }, { place, team }) =>
    byRows(sizeOf(labels!.shape), sizeOf(output.shape), team, (f, count, cut) => {
      const classes = output.shape.at(-1)!;
      const rows = { ...output, shape: [count, classes], inputs: [{ ...labels!, shape: [count] }] };
      oneHot(rows, ofPart(f, cut, place(labels!), 4), ofPart(f, cut, place(output), 4 * classes), f);
    }),
  dropoutMask: ({ output, inputs: [ids, key] }, { place, team }) => {
    const size = sizeOf(attributesOf(dropoutMaskOp, output).shape);
    // What is written beyond a row would otherwise be another thread's.
    if (size % LINE > 0) return undefined;
    return byRows(output.shape[0]!, sizeOf(output.shape), team, (f, count, cut) => {
      const [id, to] = [ofPart(f, cut, place(ids!), 4), ofPart(f, cut, place(output), 4 * size)];
      dropoutMask({ ...output, shape: [count, ...output.shape.slice(1)] }, id, place(key!), to, f);
    });
  },
};

/** A function whose threads take rows. @param elements that are read or written: undefined where they are too few */
function byRows(
  rows: number,
  elements: number,
  team: Team,
  emit: (f: FunctionBuilder, count: number, cut: Cut) => void,
): FunctionBuilder | undefined {
  if (threadsForElements(team, elements) === 1) return undefined;
  const f = new FunctionBuilder();
  const cut = cutOf(rows, team.threads);
  emitParts(f, cut, team.threads, (count) => emit(f, count, cut));
  return f;
}

function reduction(
  { output, inputs: [x] }: KernelStep,
  axes: readonly number[],
  { place, team, add }: TeamContext,
  emit: (f: FunctionBuilder, places: readonly [Address, Address], part: ReducedAxes) => void,
): FunctionBuilder | undefined {
  const threads = threadsForElements(team, sizeOf(x!.shape));
  if (threads === 1 || sizeOf(output.shape) === 0) return undefined;
  const { kept, reduced } = reducedAxes(output, axes);
  const found = bestCut(kept, threads);
  if (!found) return undefined;
  const { axis, cut } = found;
  const [ofX, ofY] = kept[axis]!.strides as [number, number];
  const f = new FunctionBuilder();
  emitParts(f, cut, team.threads, (count) => {
    const part = new FunctionBuilder();
    const own: LoopAxis[] = kept.map((kind, i) => (i === axis ? { ...kind, extent: count } : kind));
    const places = [
      ofPart(part, cut, place(x!), 4 * ofX),
      ofPart(part, cut, place(output), 4 * ofY),
    ] as const;
    emit(part, places, { kept: own, reduced });
    f.call(add(part));
  });
  return f;
}
