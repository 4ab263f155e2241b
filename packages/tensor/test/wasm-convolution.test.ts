/** The bits of convolutions: the same with every kernel, those that the operation defines, and Winograd's near the exact sums. */
import { describe, expect, it } from 'vitest';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import { compileGraph } from '../src/backends/wasm/compile.ts';
import { scratchBytes } from '../src/backends/wasm/emit-kernels.ts';
import { type KernelName, kernelNames, kernelShapes } from '../src/backends/wasm/gemm.ts';
import type { Node } from '../src/graph.ts';
import {
  type ConvolutionOptions,
  conv2d,
  conv2dInputGradient,
  conv2dWeightGradientOp,
  convolutionSizes,
  usesWinograd,
  winogradTile,
} from '../src/ops/conv2d.ts';
import { input } from '../src/ops/leaf.ts';
import { apply } from '../src/ops/op.ts';
import { alignUp } from '../src/plan/arena.ts';
import { placeLeaves } from '../src/plan/leaves.ts';
import { type Shape, sizeOf } from '../src/shape.ts';
import { uniforms } from './support/cases.ts';
import { runSum } from './support/summation.ts';

const exactNames = kernelNames.filter((name) => !kernelShapes[name].fused);

/** One node on one kernel. */
function run(node: Node, feeds: Readonly<Record<string, Float32Array>>, kernel: KernelName): Float32Array {
  const { byName, places, end } = placeLeaves([node], alignUp(64 + scratchBytes(kernel)));
  const compiled = compileGraph({
    outputs: [node],
    leaves: places,
    targets: new Map(),
    groups: [],
    arenaStart: end,
    scratch: 64,
    kernel,
  });
  const pages = Math.ceil((compiled.end + 64) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  for (const [name, leaf] of byName) {
    new Float32Array(memory.buffer, places.get(leaf)!, sizeOf(leaf.shape)).set(feeds[name]!);
  }
  const module = new WebAssembly.Module(compiled.encode({ pages, shared: false }).bytes);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  (exports.stage0 as () => void)();
  return new Float32Array(memory.buffer, compiled.offsets[0]!, sizeOf(node.shape)).slice();
}

/** conv2d and its two gradients on the same numbers. */
function three(x: Shape, weight: Shape, options: ConvolutionOptions) {
  const [image, window] = [input('x', x), input('w', weight)];
  const forward = conv2d(image, window, options);
  const g = input('g', forward.shape);
  const { image: rowsAndColumns } = convolutionSizes(forward);
  const geometry = { ...forward.attributes, window: weight.slice(0, 2) } as never;
  const feeds = Object.fromEntries(
    [image, window, g].map((leaf, i) => [
      String(leaf.attributes.name),
      Float32Array.from(uniforms(sizeOf(leaf.shape), 4000 + i), (u) => u - 0.5),
    ]),
  );
  const nodes = [
    forward,
    conv2dInputGradient(g, window, rowsAndColumns, options),
    apply(conv2dWeightGradientOp, [image, g], geometry),
  ];
  return { nodes, feeds };
}

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

describe('convolution', () => {
  const shapes = [
    ['direct', [2, 19, 17, 8], [3, 3, 8, 21], { padding: [1, 1] }],
    ['direct, strided', [2, 19, 17, 8], [3, 3, 8, 21], { stride: [2, 2], padding: [1, 1] }],
    ["Winograd's", [3, 23, 18, 16], [3, 3, 16, 36], { padding: [1, 1] }],
    ["Winograd's in small tiles", [3, 6, 5, 16], [3, 3, 16, 36], { padding: [1, 1] }],
  ] as const;

  it.each(shapes)('%s: the same bits with every kernel', (_, x, weight, options) => {
    const { nodes, feeds } = three(x, weight, options);
    for (const node of nodes) {
      const [wanted, ...others] = exactNames.map((kernel) => bytes(run(node, feeds, kernel)));
      for (const [i, found] of others.entries()) {
        expect(found.equals(wanted!), `${node.op}, ${exactNames[i + 1]}`).toBe(true);
      }
    }
  });

  it('sums in the order that the operation defines', () => {
    const [x, w] = [input('x', [1, 5, 4, 3]), input('w', [3, 3, 3, 5])];
    const feeds = {
      x: Float32Array.from(uniforms(60, 1), (u) => u - 0.5),
      w: Float32Array.from(uniforms(135, 2), (u) => u - 0.5),
    };
    const found = run(conv2d(x, w, { padding: [1, 1] }), feeds, '5x16');
    const wanted = new Float32Array(5 * 4 * 5);
    for (let place = 0; place < 20; place++) {
      for (let f = 0; f < 5; f++) {
        for (let tap = 0; tap < 27; tap++) {
          const [i, j, c] = [Math.floor(tap / 9), Math.floor(tap / 3) % 3, tap % 3];
          const [row, column] = [Math.floor(place / 4) + i - 1, (place % 4) + j - 1];
          const inside = row >= 0 && row < 5 && column >= 0 && column < 4;
          const value = inside ? feeds.x[(row * 4 + column) * 3 + c]! : 0;
          const product = Math.fround(value * feeds.w[tap * 5 + f]!);
          wanted[place * 5 + f] = wanted[place * 5 + f]! + product;
        }
      }
    }
    expect(bytes(found).equals(bytes(wanted))).toBe(true);
  });

  it.each([
    ['in levels of runs of 256 places', [3, 60, 52, 2], [2, 2, 2, 3], {}, 3],
    ['in runs of a sample', [40, 9, 8, 5], [3, 2, 1, 5], { groups: 5, padding: [1, 0] }, 5],
    ['in runs of a row', [34, 18, 17, 4], [3, 3, 1, 4], { groups: 4 }, 4],
  ] as const)("sums a weight's gradient %s", (_, x, weight, options, filters) => {
    const { nodes, feeds } = three(x, weight, options);
    const sizes = convolutionSizes(nodes[2]!);
    const { samples, image, places, window, groups, padding } = sizes;
    const found = run(nodes[2]!, feeds, '5x16');
    const channels = x[3];
    const inGroup = channels / groups;
    const wanted = Float32Array.from({ length: sizeOf(weight) }, (_, e) => {
      const [f, c, tap] = [e % filters, Math.floor(e / filters) % inGroup, Math.floor(e / filters / inGroup)];
      const channel = groups === 1 ? c : f;
      const [i, j] = [Math.floor(tap / window[1]) - padding[0], (tap % window[1]) - padding[1]];
      const isInside = (row: number, column: number) =>
        row >= 0 && row < image[0] && column >= 0 && column < image[1];
      const term = (sample: number, row: number, column: number) => {
        const value = isInside(row + i, column + j)
          ? feeds.x![((sample * image[0] + row + i) * image[1] + column + j) * channels + channel]!
          : 0;
        return Math.fround(
          value * feeds.g![((sample * places[0] + row) * places[1] + column) * filters + f]!,
        );
      };
      const [each, row] = [places[0] * places[1], places[1]];
      if (groups === 1)
        return runSum(samples * each, 256, (p) =>
          term(Math.floor(p / each), Math.floor(p / row) % places[0], p % row),
        );
      // Rows and columns at which the window is within the image.
      const along = (axis: 0 | 1, shift: number) =>
        [...Array(places[axis]).keys()].filter((at) => at + shift >= 0 && at + shift < image[axis]);
      const [rows, columns] = [along(0, i), along(1, j)];
      const serial = (terms: readonly number[]) =>
        terms.reduce((total, value) => Math.fround(total + value), 0);
      return runSum(samples, 1, (sample) => {
        const lines = rows.map((r) => columns.map((q) => term(sample, r, q)));
        return rows.length * columns.length <= 256 ? serial(lines.flat()) : serial(lines.map(serial));
      });
    });
    expect(bytes(found).equals(bytes(wanted))).toBe(true);
  });

  it.each([
    ['in levels of runs', [9, 120, 104, 16], [3, 3, 16, 16], 2],
    ['of many channels', [1, 9, 8, 272], [3, 3, 272, 16], 0],
  ] as const)(
    "has the same bits with Winograd's sums %s",
    (_, x, weight, index) => {
      const { nodes, feeds } = three(x, weight, { padding: [1, 1] });
      const node = nodes[index]!;
      const [exact] = evaluateGraph([node], feeds);
      const [wanted, other] = (['4x8', '5x16'] as const).map((kernel) => run(node, feeds, kernel));
      expect(bytes(wanted!).equals(bytes(other!))).toBe(true);
      const distance = Math.hypot(...wanted!.map((value, e) => value - exact![e]!));
      expect(distance / Math.hypot(...exact!)).toBeLessThan(2e-6);
    },
    60_000,
  );

  it("is Winograd's only for windows of 3 x 3 at stride 1 with enough channels", () => {
    const uses = (x: Shape, weight: Shape, options: ConvolutionOptions) =>
      usesWinograd(convolutionSizes(conv2d(input('x', x), input('w', weight), options)));
    expect(uses([1, 8, 8, 16], [3, 3, 16, 16], {})).toBe(true);
    expect(uses([1, 8, 8, 12], [3, 3, 12, 16], {})).toBe(false);
    expect(uses([1, 8, 8, 16], [3, 3, 16, 16], { stride: [2, 1] })).toBe(false);
    expect(uses([1, 8, 8, 16], [3, 2, 16, 16], {})).toBe(false);
    expect(uses([1, 8, 8, 64], [3, 3, 16, 64], { groups: 4 })).toBe(false);
  });

  it("takes Winograd's tiles of 4 x 4 where they save products, those of 2 x 2 elsewhere", () => {
    const tile = (rows: number, columns: number) =>
      winogradTile(
        convolutionSizes(
          conv2d(input('x', [1, rows, columns, 16]), input('w', [3, 3, 16, 16]), { padding: [1, 1] }),
        ),
      );
    expect([tile(8, 8), tile(7, 7), tile(3, 3), tile(14, 14)]).toEqual([4, 4, 4, 4]);
    expect([tile(1, 1), tile(2, 2), tile(5, 5), tile(6, 6)]).toEqual([2, 2, 2, 2]);
  });

  // Found for tiles of 4 x 4: 8.1e-7 for the results and the image's gradient, 6.3e-7 for the window's; of 2 x 2: 2.6e-7 and 3.6e-7.
  it.each([
    ['4 x 4', [2, 15, 16, 64]],
    ['2 x 2', [6, 5, 6, 64]],
  ] as const)(
    "with Winograd's products of tiles of %s is as near to the exact sums as float32 gets",
    (_, x) => {
      const { nodes, feeds } = three(x, [3, 3, 64, 64], { padding: [1, 1] });
      for (const node of nodes) {
        const [exact] = evaluateGraph([node], feeds);
        const found = run(node, feeds, '5x16');
        const size = Math.hypot(...exact!);
        const distance = Math.hypot(...found.map((value, e) => value - exact![e]!));
        expect(distance / size, node.op).toBeLessThan(1e-6);
      }
    },
  );

  describe.each([
    ['4 x 4', [1, 12, 9, 16]],
    ['2 x 2', [2, 5, 6, 16]],
  ] as const)("with Winograd's products of tiles of %s", (_, x) => {
    it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e6, -1e20, 3e38, 1e-30])(
      '%d in a pixel reaches what sees it, and nothing else',
      (odd) => {
        const { nodes, feeds } = three(x, [3, 3, 16, 24], { padding: [1, 1] });
        const [rows, columns] = [x[1], x[2]];
        for (const [node, from] of [
          [nodes[0]!, 'x'],
          [nodes[1]!, 'g'],
        ] as const) {
          for (const [row, column] of [
            [0, 0],
            [4, 3],
            [rows - 1, columns - 1],
          ] as const) {
            const depth = from === 'x' ? 16 : 24;
            const values = feeds[from]!.slice();
            values[(row * columns + column) * depth + 3] = odd;
            const changed = { ...feeds, [from]: values };
            const [wanted, other] = (['4x8', '5x16'] as const).map((kernel) => run(node, changed, kernel));
            expect(bytes(wanted!).equals(bytes(other!)), 'the same with every kernel').toBe(true);
            const [exact] = evaluateGraph([node], changed);
            const filters = node.shape[3]!;
            wanted!.forEach((value, e) => {
              const place = Math.floor(e / filters);
              const [sample, r, q] = [
                Math.floor(place / rows / columns),
                Math.floor(place / columns) % rows,
                place % columns,
              ];
              const sees = sample === 0 && Math.abs(r - row) <= 1 && Math.abs(q - column) <= 1;
              const size = sees && Number.isFinite(odd) ? Math.max(1, Math.abs(odd)) : 1;
              if (sees && !Number.isFinite(exact![e]!)) expect(Number.isFinite(value)).toBe(false);
              else if (Math.abs(exact![e]!) < 3e38)
                expect(Math.abs(value - exact![e]!) / size, `element ${e} of ${node.op}`).toBeLessThan(2e-5);
            });
          }
        }
      },
    );
  });
});
