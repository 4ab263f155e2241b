/** Reductions as WGSL: few elements by one invocation, many by a workgroup that combines what its invocations have. */
import type { Node } from '../../graph.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import { type Dispatch, type Kernel, MOST_GROUPS, placeOf, THREADS } from './wgsl-module.ts';
import { literal } from './wgsl-scalar.ts';
import { longSum } from './wgsl-sums.ts';

/** An associative operation on two f32, and what it starts from. */
export interface Combination {
  readonly start: number;
  readonly combine: (a: string, b: string) => string;
}

export const addition: Combination = { start: 0, combine: (a, b) => `${a} + ${b}` };
export const maximum: Combination = { start: -Infinity, combine: (a, b) => `larger(${a}, ${b})` };

/** The dispatches of a reduction over `axes` of the node's input. */
export function reduction(
  node: Node,
  kernel: Kernel,
  axes: readonly number[],
  combination: Combination,
): Dispatch[] {
  const { start, combine } = combination;
  const { shape } = node.inputs[0]!;
  const strides = stridesOf(shape);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const pick = (list: readonly number[], of: readonly number[]) => of.map((axis) => list[axis]!);
  const from = placeOf(pick(shape, kept), pick(strides, kept));
  const along = placeOf(pick(shape, axes), pick(strides, axes), 'i');
  const element = kernel.readSigned(0, `source + ${along}`);
  const [outputs, length] = [sizeOf(node.shape), sizeOf(pick(shape, axes))];
  if (length < THREADS) {
    const body = `let source = ${from};
  var total = ${literal(start)};
  for (var i = 0u; i < ${length}u; i++) { total = ${combine('total', element)}; }
  ${kernel.write(1, 'e', 'total')}`;
    return kernel.each(outputs, body);
  }
  if (outputs === 0) return [];
  const { declare, carry, finish } =
    combination === addition
      ? longSum('total', Math.ceil(length / THREADS))
      : { declare: `var total = ${literal(start)};`, carry: () => '', finish: '' };
  const x = Math.min(outputs, MOST_GROUPS);
  const { declarations, statements } = kernel.target.subgroups
    ? bySubgroups(combination)
    : byTree(combination);
  const code = kernel.module(`
var<workgroup> parts: array<f32, ${THREADS}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32${declarations}) {
  let e = group.y * groups.x + group.x;
  let source = ${from};
  ${declare}
  if (e < ${outputs}u) {
    for (var i = lane; i < ${length}u; i += ${THREADS}u) { total = ${combine('total', element)}; ${carry(`i / ${THREADS}u`)} }
    ${finish}
  }
  ${statements}
  if (lane == 0u && e < ${outputs}u) { ${kernel.write(1, 'e', 'total')} }
}`);
  return [{ code, workgroups: [x, Math.ceil(outputs / x), 1], addresses: kernel.addresses }];
}

/** Every invocation's `total` becomes, at lane 0, that of all: half as many take part in each round. */
const byTree = ({ combine }: Combination) => ({
  declarations: '',
  statements: `parts[lane] = total;
  workgroupBarrier();
  for (var half = ${THREADS / 2}u; half > 0u; half = half / 2u) {
    if (lane < half) { parts[lane] = ${combine('parts[lane]', 'parts[lane + half]')}; }
    workgroupBarrier();
  }
  total = parts[0];`,
});

/**
 * The same with one barrier instead of seven: the invocations of a subgroup exchange their totals, then each subgroup combines
 * what all have left. Which lanes make a subgroup is the device's choice, so its total lies at the lane of its first member.
 */
function bySubgroups({ start, combine }: Combination) {
  const exchange = `for (var half = together / 2u; half > 0u; half = half / 2u) {
    total = ${combine('total', 'subgroupShuffleXor(total, half)')};
  }`;
  return {
    declarations: `,
    @builtin(subgroup_size) together: u32, @builtin(subgroup_invocation_id) member: u32`,
    statements: `${exchange}
  parts[lane] = ${literal(start)};
  if (member == 0u) { parts[lane] = total; }
  workgroupBarrier();
  total = ${literal(start)};
  for (var i = member; i < ${THREADS}u; i += together) { total = ${combine('total', 'parts[i]')}; }
  ${exchange}`,
  };
}
