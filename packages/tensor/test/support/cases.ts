/**
 * Graphs and feeds for every operation, made from the cases in the declarations. Suites of all backends walk them, so a new
 * operation is tested everywhere as soon as it is in the list.
 */
import type { Node } from '../../src/graph.ts';
import { allOps } from '../../src/ops/index.ts';
import { input } from '../../src/ops/leaf.ts';
import { apply, type CaseInput, type Op, type OpCase, OpError } from '../../src/ops/op.ts';
import { philox4x32, unitInterval } from '../../src/random.ts';
import { sizeOf } from '../../src/shape.ts';

export interface GraphCase {
  readonly op: string;
  /** 'matmul: odd sizes' */
  readonly label: string;
  /** Input leaves, named a, b, c. */
  readonly inputs: readonly Node[];
  readonly output: Node;
  /** By the name of the leaf. */
  readonly feeds: Readonly<Record<string, Float32Array | Int32Array>>;
  /** Whether the operation has a gradient rule. */
  readonly differentiable: boolean;
}

/** `count` numbers in [0, 1) that depend on the stream only. */
export function uniforms(count: number, stream: number): number[] {
  return Array.from({ length: count }, (_, e) =>
    unitInterval(philox4x32([e >> 2, stream, 0, 0xffff_0000], [2024, 7])[e & 3]!),
  );
}

/** `count` numbers in [-1, 1). */
export function directions(count: number, stream: number): Float64Array {
  return Float64Array.from(uniforms(count, stream), (u) => 2 * u - 1);
}

function valuesOf(spec: CaseInput, stream: number): Float32Array | Int32Array {
  const size = sizeOf(spec.shape);
  const [from, to] = spec.domain ?? [-2, 2];
  const whole = spec.whole || spec.dtype === 'i32';
  const drawn = uniforms(size, stream).map((u) => from + u * (to - from));
  const values = spec.values ?? (whole ? drawn.map(Math.floor) : drawn);
  if (values.length !== size) throw new Error(`a case gives ${values.length} values for ${size} elements`);
  return spec.dtype === 'i32' ? Int32Array.from(values) : Float32Array.from(values);
}

/**
 * A case of shapes that nobody chose: up to four axes, sizes from 1 to 9, each input stretched along some of them. Of operations
 * that broadcast only; the domains are those of a declared case.
 */
function randomCase(op: Op, index: number): OpCase[] {
  const [declared] = op.cases;
  if (!op.broadcasts || !declared || op.name === 'broadcast') return [];
  const draws = uniforms(64, 50_000 + index);
  let drawn = 0;
  const below = (n: number) => Math.floor(n * draws[drawn++]!);
  const shape = Array.from({ length: 1 + below(4) }, () => 1 + below(9));
  const inputs = declared.inputs.map(({ values: _, ...spec }) => {
    const stretched = shape.map((extent) => (below(3) === 0 ? 1 : extent));
    return { ...spec, shape: stretched.slice(below(shape.length)) };
  });
  return [
    {
      label: `random: ${inputs.map((one) => `[${one.shape}]`).join(' ')}`,
      inputs,
      attributes: declared.attributes,
    },
  ];
}

/**
 * A declared case with one axis of another size: none, one, and one that fills no tile. Axes of other inputs that are as long are taken
 * to be the same axis; what the operation then refuses is no case.
 */
function resizedCases(op: Op): OpCase[] {
  const declared = op.cases.find(({ inputs }) => inputs.length > 0 && inputs.every(({ values }) => !values));
  if (!declared) return [];
  const [first] = declared.inputs;
  return first!.shape.flatMap((extent, axis) =>
    (axis === first!.shape.length - 1 ? [0, 1, 37] : [0, 1]).flatMap((size) => {
      // Fewer rows than the indices name are an error of their own.
      if (size === extent || (op.name === 'gather' && axis === 0)) return [];
      const inputs = declared.inputs.map((spec) => ({
        ...spec,
        shape: spec.shape.map((own) => (own === extent ? size : own)),
      }));
      const leaves = inputs.map(({ shape, dtype = 'f32' }) => input('probe', shape, dtype));
      try {
        apply(op, leaves, declared.attributes);
      } catch (error) {
        if (error instanceof OpError) return [];
        throw error;
      }
      return [{ ...declared, label: `${declared.label}, axis ${axis} of ${size}`, inputs }];
    }),
  );
}

/** Every case of every operation, in the order of the list. Fresh nodes on each call. */
export function opCases(): GraphCase[] {
  let stream = 0;
  return allOps.flatMap((op, index) =>
    [...op.cases, ...randomCase(op, index), ...resizedCases(op)].map((declared): GraphCase => {
      const inputs = declared.inputs.map((spec, i) =>
        input(String.fromCharCode(97 + i), spec.shape, spec.dtype ?? 'f32'),
      );
      const feeds = Object.fromEntries(
        declared.inputs.map((spec, i) => [String.fromCharCode(97 + i), valuesOf(spec, stream++)]),
      );
      return {
        op: op.name,
        label: `${op.name}: ${declared.label}`,
        inputs,
        output: apply(op, inputs, declared.attributes),
        feeds,
        differentiable: !('none' in op.gradient),
      };
    }),
  );
}
