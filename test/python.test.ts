/** Files of ours as Python's programs read them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { needing, PYTHON } from './support/needs.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const models: Readonly<Record<string, ModelDescription>> = {
  image: {
    input: [8, 6, 3],
    classes: 5,
    layers: [
      { type: 'conv2d', filters: 4, size: 3, padding: 1, bias: false, name: 'stem' },
      { type: 'batchNorm' },
      { type: 'gelu' },
      { type: 'maxPool', size: 2 },
      { type: 'conv2d', filters: 4, size: 3, padding: 1, groups: 2 },
      { type: 'leakyRelu', name: 'side' },
      { type: 'averagePool', size: 3, stride: 1, padding: 1 },
      { type: 'add', from: ['averagePool1', 'side'] },
      { type: 'globalAveragePool', name: 'mean' },
      { type: 'dropout', rate: 0.5 },
      { type: 'dense', units: 5 },
      { type: 'softmax' },
    ],
  },
  text: {
    input: [6],
    classes: 4,
    layers: [
      { type: 'embedding', tokens: 9, units: 8 },
      { type: 'positionalEncoding' },
      { type: 'transformerBlock', heads: 2, causal: true },
      { type: 'selfAttention', heads: 2, from: ['transformerBlock1', 'input'] },
      { type: 'lstm', units: 3, bidirectional: true, layers: 2, returns: 'sequence' },
      { type: 'gru', units: 3, returns: 'sequence' },
      { type: 'rnn', units: 4 },
      { type: 'layerNorm' },
    ],
  },
  newer: {
    input: [8, 6, 4],
    classes: 6,
    layers: [
      { type: 'groupNorm', groups: 2 },
      { type: 'prelu' },
      { type: 'conv2dTranspose', filters: 4, size: 3, stride: 2, padding: 1, outputPadding: 1 },
      { type: 'instanceNorm' },
      { type: 'mish' },
      { type: 'upsample', method: 'bilinear' },
      { type: 'squeezeExcite', reduction: 2 },
      { type: 'adaptiveAveragePool', size: [5, 3] },
      { type: 'reshape', shape: [5, 12] },
      { type: 'conv1d', filters: 12, size: 3, causal: true },
      {
        ...{ type: 'transformerBlock', heads: 6, keyValueHeads: 2, rotary: true, causal: true },
        ...{ norm: 'rms', feedForward: 'swiglu', bias: false },
      },
      { type: 'rmsNorm' },
      { type: 'elu', alpha: 0.5 },
      { type: 'hardSwish' },
      { type: 'flatten' },
      { type: 'dense', units: 6 },
      { type: 'hardSigmoid' },
    ],
  },
};

const CHECK = `
import sys, onnx
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    batch = model.graph.output[0].type.tensor_type.shape.dim[0].dim_param
    print(model.producer_name, model.opset_import[0].version, batch, len(model.graph.node) > 0)
`;

it("ONNX's own checker takes our files, shapes and types included", needing(['onnx']), async () => {
  const folder = temporaryDirectory(cleanUp);
  const paths: string[] = [];
  for (const [name, description] of Object.entries(models)) {
    const model = buildModel(description);
    paths.push(join(folder, `${name}.onnx`));
    writeFileSync(paths.at(-1)!, await exportOnnx(model, initializeParameters(model, 1)));
  }
  const printed = execFileSync(PYTHON, ['-c', CHECK, ...paths], { encoding: 'utf8' });
  expect(printed).toBe('kasane 17 batch True\n'.repeat(3));
});

/** The specification (README of huggingface/safetensors, 'Format'), step by step. */
const READ = `
import hashlib, json, struct, sys
with open(sys.argv[1], 'rb') as file:
    (length,) = struct.unpack('<Q', file.read(8))
    header = json.loads(file.read(length).decode('utf-8'))
    body = file.read()
metadata = header.pop('__metadata__')
assert all(isinstance(value, str) for value in metadata.values())
at = 0
for name, entry in header.items():
    assert entry['dtype'] == 'F32'
    start, end = entry['data_offsets']
    count = 1
    for extent in entry['shape']:
        count *= extent
    assert start == at and end - start == 4 * count
    at = end
    print(name, entry['shape'], hashlib.sha256(body[start:end]).hexdigest())
assert at == len(body)
print(metadata['format'], json.loads(metadata['kasane.model'])['input'])
`;

it("Python reads our weights by the format's specification, bit for bit", needing(['python']), () => {
  const model = buildModel(models.image!);
  const parameters = initializeParameters(model, 1);
  const path = join(temporaryDirectory(cleanUp), 'model.safetensors');
  writeFileSync(path, encodeModelFile({ model, parameters, about: { job: 'x' } }));
  const lines = model.parameters.map(({ name, shape, offset, size }) => {
    const bytes = new Uint8Array(parameters.buffer, 4 * offset, 4 * size);
    return `${name} [${shape.join(', ')}] ${createHash('sha256').update(bytes).digest('hex')}\n`;
  });
  expect(execFileSync(PYTHON, ['-c', READ, path], { encoding: 'utf8' })).toBe(
    `${lines.join('')}pt [8, 6, 3]\n`,
  );
});
