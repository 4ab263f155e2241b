/** Operations of ONNX files, as they are imported, against the standard's own tests: each passes, or is refused with a reason. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needing, ONNX_TESTS } from '../../../test/support/needs.ts';
import { readOnnx, tensorOf } from '../src/io/onnx/reading/file.ts';
import {
  Calculation,
  newBudget,
  translatedOperations,
  translateNode,
} from '../src/io/onnx/reading/translate.ts';
import { type Known, numbersOf, UnsupportedError, type Value } from '../src/io/onnx/reading/values.ts';

/** Why a test is refused although its operation is translated; the documentation lists these. */
const reasons = {
  'three axes of space': /3 spatial axes/,
  'what only training has': /is in training mode/,
  texts: /elements of type string/,
  'sequences and optional values': /no tensor/,
  'GRU that resets before the product': /linear_before_reset 0/,
  peepholes: /peepholes/,
  'modes of Resize': /Resize .*(mode is cubic|coordinate_transformation_mode is tf_)/,
  'results larger than what is computed': /an output larger than what is computed/,
} as const;

/** Tests whose expected numbers are not ours for a reason. */
const others: ReadonlySet<string> = new Set([
  // Takes 2.4 pixels for the length of 2; later versions of the standard and ONNX Runtime take 2.
  'test_resize_downsample_scales_linear_align_corners',
]);

const close = (found: number, expected: number, tolerance: number): boolean =>
  Object.is(found, expected) ||
  found === expected ||
  (Number.isNaN(found) && Number.isNaN(expected)) ||
  Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected));

function tensor(file: string, type: number): Known {
  return numbersOf({ ...tensorOf(readFileSync(file), 'tensor'), type }, 'tensor');
}

/** Runs a test. @throws UnsupportedError where it is refused, Error where a number is wrong */
function run(name: string): void {
  const folder = join(ONNX_TESTS, name);
  const { nodes, inputs, outputs, opset } = readOnnx(readFileSync(join(folder, 'model.onnx')));
  const typeOf = (type: number | undefined) => type ?? expectTensor();
  const values = new Map<string, Value>(
    inputs.map((port, i) => [
      port.name,
      tensor(join(folder, 'test_data_set_0', `input_${i}.pb`), typeOf(port.type)),
    ]),
  );
  const budget = newBudget();
  const home = new Calculation();
  for (const [index, node] of nodes.entries()) {
    const given = node.inputs.map((input) => (input === '' ? undefined : values.get(input)));
    const made = translateNode(node, index, given, { opset, home, budget });
    for (const [i, output] of node.outputs.entries()) if (made[i]) values.set(output, made[i]);
  }
  for (const [i, port] of outputs.entries()) {
    const value = values.get(port.name);
    // Of some operations only the first output is there, and nothing else is made of others.
    if (!value && i > 0) continue;
    const found = home.evaluate(value!, budget);
    const expected = tensor(join(folder, 'test_data_set_0', `output_${i}.pb`), typeOf(port.type));
    // Halves and brain floats are computed as float32.
    const tolerance = port.type === 16 ? 1e-2 : port.type === 10 ? 1e-3 : 1e-4;
    const wrong = [...found.numbers].findIndex(
      (each, at) => !close(Math.fround(each), expected.numbers[at]!, tolerance),
    );
    if (String(found.shape) !== String(expected.shape) || wrong >= 0)
      throw new Error(
        `output ${i}: [${found.shape}] of ${found.numbers[wrong]} at ${wrong}; expected [${expected.shape}] of ${expected.numbers[wrong]}`,
      );
  }
}

function expectTensor(): never {
  throw new UnsupportedError('no tensor');
}

test("the standard's tests of operations", needing(['onnxTests']), () => {
  const passed = new Set<string>();
  const refused = new Map<string, string[]>();
  const failed: string[] = [];
  for (const name of readdirSync(ONNX_TESTS).sort()) {
    if (others.has(name)) continue;
    try {
      run(name);
      passed.add(name);
    } catch (error) {
      if (!(error instanceof UnsupportedError)) failed.push(`${name}: ${String(error)}`);
      else {
        const unknown = /^(\w+) \(.*\): (this operation is not|operations of)/.exec(error.message)?.[1];
        const reason = Object.entries(reasons).find(([, pattern]) => pattern.test(error.message))?.[0];
        const why = unknown ?? reason ?? error.message;
        refused.set(why, [...(refused.get(why) ?? []), name]);
      }
    }
  }
  expect(failed).toEqual([]);
  expect(
    [...refused.keys()].filter((why) => !Object.hasOwn(reasons, why) && !/^[A-Z]\w+$/.test(why)),
  ).toEqual([]);
  // What is refused by its name is in no table of ours.
  expect(translatedOperations.filter((op) => refused.has(op))).toEqual([]);
  expect(passed.size).toBeGreaterThan(600);
  const of = (...names: string[]) => names.every((name) => passed.has(`test_${name}`));
  expect(
    of('gemm_all_attributes', 'conv_with_autopad_same', 'maxpool_2d_ceil', 'softmax_axis_1', 'lstm_defaults'),
  ).toBe(true);
});

test.each(['docs/import.md', 'docs/ja/import.md'])('%s lists the operations', (page) => {
  const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
  const [, section = ''] = text.split(/^## (?:Operations|演算)$/m);
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && line.includes('`'));
  const listed = rows.flatMap((row) => [...row.matchAll(/`([A-Z]\w+)`/g)].map(([, name]) => name!));
  expect(listed.sort()).toEqual(translatedOperations);
});
