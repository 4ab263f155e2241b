/**
 * Matrix products as WGSL: tiles of the result in registers, tiles of both sides in workgroup memory. How an element of a side is
 * found is code, so that a convolution is a product too, of patches that are nowhere in memory.
 */
import type { Node } from '../../graph.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { attributesOf } from '../../ops/op.ts';
import { type Dispatch, type Kernel, MOST_GROUPS, THREADS } from './wgsl-module.ts';
import { longSum } from './wgsl-sums.ts';

/** Side of the part of a tile of the result that one invocation computes. */
const PER_THREAD = 4;
/** Columns of A and rows of B in workgroup memory at a time. SwiftShader takes seconds to compile a kernel with more. */
const DEPTH = 8;
/** Workgroups that keep a device busy, and the shortest sum worth cutting in two. */
const BUSY = 256;
const SHORTEST_SPLIT = 1024;
/** Workgroups that even a small device runs at the same time. */
const AT_ONCE = 32;

/** What a workgroup computes of the result. */
interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/** Each as large as what a workgroup's invocations compute; first the square, which reads the least for it. */
const tiles: readonly Tile[] = [32, 64, 16, 128, 8, 256, 4].map((rows) => ({
  rows,
  columns: (THREADS * PER_THREAD ** 2) / rows,
}));

/** A batch of products [m, k] [k, n]. */
export interface ProductSizes {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What a kernel's tensors have to do with the matrices. All variables of the code are u32, but for `value`. */
export interface TiledProduct extends ProductSizes {
  /** Element (row, p) of A and (p, column) of B of matrix `b`; only asked for inside the matrices. */
  readonly a: string;
  readonly b: string;
  /** A statement that stores `value` at (row, column) of matrix `b`. */
  readonly store: string;
  /** Functions that these call. */
  readonly helpers?: string;
}

const tilesOf = ({ batch, m, n }: ProductSizes, { rows, columns }: Tile): number =>
  batch * Math.ceil(m / rows) * Math.ceil(n / columns);

/**
 * The tile for a product: where the result has one column, 31 of a square's 32 would be empty. Carrying a row or a column into workgroup
 * memory is taken to cost a 64th of a tile's arithmetic.
 */
function tileOf(sizes: ProductSizes): Tile {
  const cost = (tile: Tile) => Math.max(AT_ONCE, tilesOf(sizes, tile)) * (64 + tile.rows + tile.columns);
  return tiles.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}

/** Parts into which the sums are cut where the result has too few tiles to keep a device busy; 1: they are not. */
export function splitsOf(sizes: ProductSizes): number {
  const count = tilesOf(sizes, tileOf(sizes));
  if (count === 0 || sizes.k < 2 * SHORTEST_SPLIT) return 1;
  return Math.max(1, Math.min(Math.ceil(sizes.k / SHORTEST_SPLIT), Math.floor(BUSY / count)));
}

/** Bytes in which the parts of the sums wait to be added up. */
export function productWorkspace(sizes: ProductSizes): number {
  const splits = splitsOf(sizes);
  return splits === 1 ? 0 : 4 * splits * sizes.batch * sizes.m * sizes.n;
}

export function matmul(node: Node, kernel: Kernel): Dispatch[] {
  const sizes = matmulSizes(node);
  const { batch, m, n, k } = sizes;
  const { transposeA, transposeB } = attributesOf(matmulOp, node);
  const a = kernel.read(0, `b * ${m * k}u + ${transposeA ? `p * ${m}u + row` : `row * ${k}u + p`}`);
  const b = kernel.read(1, `b * ${k * n}u + ${transposeB ? `column * ${k}u + p` : `p * ${n}u + column`}`);
  const store = kernel.write(2, `b * ${m * n}u + row * ${n}u + column`, 'value');
  if (batch <= MOST_GROUPS) return tiledProduct(kernel, { ...sizes, a, b, store });
  const strides = [m * k, k * n, m * n];
  return Array.from({ length: Math.ceil(batch / MOST_GROUPS) }, (_, part) => {
    const first = part * MOST_GROUPS;
    const moved = kernel.places.map((place, i) => ({ ...place, start: place.start + first * strides[i]! }));
    const some = { ...sizes, batch: Math.min(MOST_GROUPS, batch - first) };
    return tiledProduct(kernel.on(moved), { ...some, a, b, store });
  }).flat();
}

/** The dispatches of a batch of at most MOST_GROUPS products. The kernel's last tensor is the workspace, if there is one. */
export function tiledProduct(kernel: Kernel, product: TiledProduct): Dispatch[] {
  const { batch, m, n, k, a, b, store, helpers = '' } = product;
  if (batch * m * n === 0) return [];
  const splits = splitsOf(product);
  const span = DEPTH * Math.ceil(k / splits / DEPTH);
  const part = `(split * ${batch}u + b) * ${m * n}u + row * ${n}u + column`;
  const keep = splits === 1 ? store : kernel.write(kernel.places.length - 1, part, 'value');
  const tile = tileOf(product);
  const [wide, high] = [tile.columns / PER_THREAD, tile.rows / PER_THREAD];
  const across = Math.ceil(n / tile.columns);
  const count = across * Math.ceil(m / tile.rows);
  const rows = Array.from({ length: PER_THREAD }, (_, i) => i);
  const sums = rows.map((i) => longSum(`sum${i}`, span, 'vec4<f32>', DEPTH));
  const code = kernel.module(`${helpers}
var<workgroup> tile_a: array<f32, ${tile.rows * DEPTH}>;
var<workgroup> tile_b: array<vec4<f32>, ${wide * DEPTH}>;
@compute @workgroup_size(${wide}, ${high})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>) {
  let tile = group.y * groups.x + group.x;
  if (tile >= ${count}u) { return; }
  let top = (tile / ${across}u) * ${tile.rows}u;
  let left = (tile % ${across}u) * ${tile.columns}u;
  let b = group.z % ${batch}u;
  let split = group.z / ${batch}u;
  let end = min(${k}u, (split + 1u) * ${span}u);
  let lane = local.y * ${wide}u + local.x;
  ${sums.map(({ declare }) => declare).join(' ')}
  for (var block = split * ${span}u; block < end; block += ${DEPTH}u) {
    for (var i = lane; i < ${tile.rows * DEPTH}u; i += ${THREADS}u) {
      let row = top + i / ${DEPTH}u;
      let p = block + i % ${DEPTH}u;
      var value = 0.0f;
      if (row < ${m}u && p < end) { value = ${a}; }
      tile_a[i] = value;
    }
    for (var i = lane; i < ${tile.columns * DEPTH}u; i += ${THREADS}u) {
      let p = block + i / ${tile.columns}u;
      let column = left + i % ${tile.columns}u;
      var value = 0.0f;
      if (column < ${n}u && p < end) { value = ${b}; }
      tile_b[i / 4u][i % 4u] = value;
    }
    workgroupBarrier();
    for (var p = 0u; p < min(${DEPTH}u, end - block); p++) {
      let right = tile_b[p * ${wide}u + local.x];
      ${rows.map((i) => `sum${i} += tile_a[(local.y * ${PER_THREAD}u + ${i}u) * ${DEPTH}u + p] * right;`).join('\n      ')}
    }
    workgroupBarrier();
    ${sums.map(({ carry }) => carry(`block - split * ${span}u`)).join('\n    ')}
  }
  ${sums.map(({ finish }) => finish).join(' ')}
  for (var j = 0u; j < ${PER_THREAD}u; j++) {
    let column = left + local.x * ${PER_THREAD}u + j;
    if (column >= ${n}u) { return; }
    ${rows.map((i) => `{ let row = top + local.y * ${PER_THREAD}u + ${i}u; let value = sum${i}[j]; if (row < ${m}u) { ${keep} } }`).join('\n    ')}
  }
}`);
  const x = Math.min(count, MOST_GROUPS);
  const workgroups = [x, Math.ceil(count / x), batch * splits] as const;
  const products = { code, workgroups, addresses: kernel.addresses };
  if (splits === 1) return [products];
  const sum = `let column = e % ${n}u; let row = (e / ${n}u) % ${m}u; let b = e / ${m * n}u;
  var value = 0.0f;
  for (var split = 0u; split < ${splits}u; split++) { value += ${kernel.read(kernel.places.length - 1, part)}; }
  ${store}`;
  return [products, ...kernel.each(batch * m * n, sum)];
}
