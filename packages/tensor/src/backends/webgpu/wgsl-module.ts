/**
 * What WGSL kernels share: the bindings, how a kernel reads and writes its tensors, and the loop over elements. Tensors lie in
 * `m`, a buffer of 32-bit words, or in `h`, a buffer of halves; where they start comes with each dispatch (`at`), so that steps
 * of the same shapes share a pipeline.
 */
import { type Shape, stridesOf } from '../../shape.ts';
import { type Halves, libraryFor } from './wgsl-scalar.ts';

/** What a kernel may use beyond the least that WebGPU promises. */
export interface Target {
  /** Invocations that run together exchange values without workgroup memory. */
  readonly subgroups: boolean;
  readonly halves: Halves;
}

/** Where a tensor lies: its first element, in `h` or in `m`. */
export interface TensorPlace {
  readonly start: number;
  readonly half: boolean;
}

/** One dispatch: code, workgroups, and the words that the code finds in `at`. */
export interface Dispatch {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
  /** The starts of tensors, in elements, around the word ZERO. */
  readonly addresses: readonly number[];
}

/** Word of `at` that is 0: only the device knows that it is (`at[3].w` in what `wgsl-scalar.ts` makes). */
const ZERO = 15;

/** Word of `m` where a kernel leaves the words of a fault; see `faultOf`. */
export const FAULT_WORD = 0;
/** Invocations of a workgroup, where a kernel has no reason for another number. */
export const THREADS = 64;
/** Workgroups along one axis that every device allows. */
export const MOST_GROUPS = 65535;

/** The tensors of a kernel, inputs first, and what it may use. */
export class Kernel {
  readonly places: readonly TensorPlace[];
  readonly target: Target;

  constructor(places: readonly TensorPlace[], target: Target) {
    this.places = places;
    this.target = target;
  }

  get addresses(): readonly number[] {
    const starts = this.places.map(({ start }) => start);
    return starts.length > ZERO ? starts.toSpliced(ZERO, 0, 0) : starts;
  }

  /** The same kernel on other tensors. */
  on(places: readonly TensorPlace[]): Kernel {
    return new Kernel(places, this.target);
  }

  /** Element `index`, a u32, of tensor `i`, as f32. */
  read(i: number, index: string): string {
    return this.places[i]!.half ? `f32(h[${this.#start(i)} + ${index}])` : `m[${this.#start(i)} + ${index}]`;
  }

  /** The same with an i32, for strides that lead backwards. */
  readSigned(i: number, index: string): string {
    const at = `i32(${this.#start(i)}) + ${index}`;
    return this.places[i]!.half ? `f32(h[${at}])` : `m[${at}]`;
  }

  /** A statement that sets element `index`, a u32, of tensor `i`. */
  write(i: number, index: string, value: string): string {
    const at = `${this.#start(i)} + ${index}`;
    return this.places[i]!.half ? `h[${at}] = half(${value}, at[3].w);` : `m[${at}] = ${value};`;
  }

  /** A whole module: the bindings, what the code calls, and the code. */
  module(code: string): string {
    const { halves } = this.target;
    const taken = libraryFor(code, halves);
    const needsHalves = /\bh\[/.test(code);
    const head = [
      needsHalves && halves === 'f16' ? 'enable f16;' : '',
      code.includes('subgroup') ? 'enable subgroups;' : '',
      '@group(0) @binding(0) var<storage, read_write> m: array<f32>;',
      `@group(0) @binding(1) var<uniform> at: array<vec4<u32>, ${Math.max(4, Math.ceil(this.addresses.length / 4))}>;`,
      needsHalves
        ? `@group(0) @binding(2) var<storage, read_write> h: array<${halves === 'f16' ? 'f16' : 'f32'}>;`
        : '',
    ];
    return [...head.filter(Boolean), taken, code].join('\n');
  }

  /** Dispatches that run `body` for each e from 0 to `count` - 1; `helpers` are functions that it calls. */
  each(count: number, body: string, helpers = ''): Dispatch[] {
    if (count === 0) return [];
    const groups = Math.ceil(count / THREADS);
    const x = Math.min(groups, MOST_GROUPS);
    const code = this.module(`${helpers}
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let e = id.y * groups.x * ${THREADS}u + id.x;
  if (e >= ${count}u) { return; }
  ${body}
}`);
    return [{ code, workgroups: [x, Math.ceil(groups / x), 1], addresses: this.addresses }];
  }

  /** The first element of tensor `i`. */
  #start(i: number): string {
    const word = i < ZERO ? i : i + 1;
    return `at[${word >> 2}].${'xyzw'[word & 3]}`;
  }
}

/** Signed distance from the start of a tensor to element e of a shape, as the strides lead: for WGSL, as i32. */
export function placeOf(shape: Shape, strides: readonly number[], element = 'e'): string {
  const own = stridesOf(shape);
  const terms = shape.flatMap((extent, axis) => {
    if (extent <= 1 || strides[axis] === 0) return [];
    const coordinate =
      axis === 0 ? `(${element} / ${own[0]}u)` : `((${element} / ${own[axis]}u) % ${extent}u)`;
    return [`i32(${coordinate}) * ${strides[axis]}`];
  });
  return terms.length === 0 ? '0' : terms.join(' + ');
}
