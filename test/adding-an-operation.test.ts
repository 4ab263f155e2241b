/** docs/adding-an-operation.md, done to a copy of the tensor package. */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';

const page = readFileSync(new URL('../docs/adding-an-operation.md', import.meta.url), 'utf8');
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** The page's block of that name. */
function block(name: string): string {
  const found = new RegExp(`\`\`\`ts ${name}\\n(.*?)\`\`\``, 's').exec(page);
  if (!found) throw new Error(`the page has no block '${name}'`);
  return found[1]!;
}

function insert(file: string, before: string, text: string): void {
  const source = readFileSync(file, 'utf8');
  expect(source.split(before).length, `${before} in ${file}`).toBe(2);
  writeFileSync(
    file,
    source.replace(before, () => text + before),
  );
}

const CHECK = /* ts */ `
import { gradients } from './src/autodiff.ts';
import { evaluateGraph } from './src/backends/reference/run.ts';
import { compileProgram } from './src/backends/wasm/program.ts';
import { exportOnnx } from './src/io/onnx/export.ts';
import { buildModel } from './src/nn/model.ts';
import { opNamed } from './src/ops/index.ts';
import { input } from './src/ops/leaf.ts';
import { logSigmoid } from './src/ops/pointwise.ts';

const x = input('x', [9]);
const outputs = [logSigmoid(x), ...gradients(logSigmoid(x), [x])];
const values = [-8, -3, -1, -0.1, 0, 0.1, 1, 3, 80];
const [y, slope] = evaluateGraph(outputs, { x: values });
const program = await compileProgram(outputs);
program.inputs.x!.set(values);
program.run();
const h = 1e-5;
const at = (offset: number) => evaluateGraph([logSigmoid(x)], { x: values.map((v) => v + offset) })[0]!;
const [right, left] = [at(h), at(-h)];
values.forEach((v, i) => {
  const exact = -Math.log1p(Math.exp(-v));
  if (!(Math.abs(y![i]! - exact) < 1e-12)) throw new Error('value at ' + v);
  if (!(Math.abs(program.outputs[0]![i]! - exact) < 1e-5 * Math.max(1, Math.abs(exact)))) throw new Error('wasm at ' + v);
  if (!(Math.abs(slope![i]! - (right[i]! - left[i]!) / (2 * h)) < 1e-6)) throw new Error('gradient at ' + v);
  if (!(Math.abs(program.outputs[1]![i]! - slope![i]!) < 1e-5)) throw new Error('gradient on wasm at ' + v);
});
const model = buildModel({
  input: [4],
  classes: 3,
  layers: [{ type: 'scale' }, { type: 'logSigmoid' }, { type: 'dense', units: 3 }],
});
console.log(model.parameterCount, opNamed('logSigmoid').cases.length > 0);
const file = Buffer.from(await exportOnnx(model, new Float32Array(model.parameterCount))).toString('latin1');
for (const part of ['scale1/Mul', 'scale1.factor', 'logSigmoid1/Neg']) if (!file.includes(part)) throw new Error('ONNX: ' + part);
try {
  buildModel({ input: [4], classes: 4, layers: [{ type: 'scael' } as never] });
} catch (error) {
  console.log((error as Error).message);
}
`;

it('a reader who follows the page has a new activation and a new layer', () => {
  const folder = temporaryDirectory(cleanUp);
  cpSync(fileURLToPath(new URL('../packages/tensor/src', import.meta.url)), join(folder, 'src'), {
    recursive: true,
  });
  const pointwise = join(folder, 'src/ops/pointwise.ts');
  insert(pointwise, "  lt: pointwise('lt'", block('entry'));
  insert(pointwise, 'export const lt = binary', block('function'));
  insert(pointwise, "  'mish',\n] as const", block('activation'));
  insert(join(folder, 'src/nn/activation.ts'), '  geluTanh: {\n', block('words'));
  insert(join(folder, 'src/ops/accuracy.ts'), '  lt: compared', block('accuracy'));
  writeFileSync(join(folder, 'src/nn/scale.ts'), block('layer'));
  const list = join(folder, 'src/nn/index.ts');
  insert(list, "import { reshape } from './reshape.ts'", block('import'));
  insert(list, '  reshape,\n  embedding,', block('line'));
  writeFileSync(join(folder, 'check.ts'), CHECK);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const printed = execFileSync(process.execPath, ['check.ts'], { cwd: folder, encoding: 'utf8' });
  expect(printed).toMatch(/^19 true\nlayers\[0\]: no layer type 'scael'; did you mean 'scale'/);
});
