/** ONNX files as models: what they become, what they train like, and what is refused in which words. */
import { describe, expect, it } from 'vitest';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { exportOnnx } from '../src/io/onnx/export.ts';
import { importOnnx, type OnnxImportOptions } from '../src/io/onnx/import.ts';
import { defineModel } from '../src/nn/define-model.ts';
import { buildModel, type Model, type ModelDescription } from '../src/nn/model.ts';
import { type Attribute, type ElementType, encodeOnnx, type OnnxTensor } from '../src/onnx/messages.ts';
import { Message } from '../src/onnx/protobuf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { tanh } from '../src/ops/pointwise.ts';
import { sizeOf } from '../src/shape.ts';
import { directions } from './support/cases.ts';
import { difference, predicted, workedParameters } from './support/onnx.ts';

type NodeText = readonly [op: string, inputs: string, output: string, attributes?: Record<string, Attribute>];
type Extents = readonly (number | string)[];

const bytesOf = (values: Float32Array | BigInt64Array) =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const floats = (
  name: string,
  shape: readonly number[],
  values: ArrayLike<number> = directions(sizeOf(shape), 7),
): OnnxTensor => ({
  ...{ name, type: 'float', shape },
  data: bytesOf(Float32Array.from(values)),
});
const integers = (name: string, values: readonly number[], shape = [values.length]): OnnxTensor => ({
  ...{ name, type: 'int64', shape },
  data: bytesOf(BigInt64Array.from(values, BigInt)),
});

/** A file of these nodes; names of inputs are separated by spaces, '-' is one that is left out. */
function file(
  inputs: Readonly<Record<string, Extents>>,
  nodes: readonly NodeText[],
  tensors: readonly OnnxTensor[] = [],
  { outputs = ['y'], opset = 17, type = 'float' as ElementType } = {},
): Uint8Array {
  return encodeOnnx({
    ...{ irVersion: 8, opset, producer: 'test', description: '', graphName: 'g', metadata: {}, tensors },
    nodes: nodes.map(([op, from, to, attributes = {}], i) => ({
      ...{ name: `${op}${i}`, op, attributes, outputs: to.split(' ') },
      inputs: from.split(' ').map((name) => (name === '-' ? '' : name)),
    })),
    inputs: Object.entries(inputs).map(([name, shape]) => ({ name, type, shape, description: '' })),
    outputs: outputs.map((name) => ({ name, type: 'float', shape: [], description: '' })),
  });
}

const values = (size: number, seed: number) => Float32Array.from(directions(size, seed));
const imported = (bytes: Uint8Array, options: OnnxImportOptions = {}) => importOnnx(bytes, options);
const names = (model: Model) => model.parameters.map(({ name }) => name);

const convolutional: ModelDescription = {
  input: [8, 6, 3],
  classes: 4,
  layers: [
    { type: 'conv2d', filters: 6, size: 3, padding: 1 },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'maxPool', size: 2 },
    { type: 'conv2d', filters: 5, size: 3, stride: 2 },
    { type: 'layerNorm' },
    { type: 'flatten' },
    { type: 'dense', units: 4 },
  ],
};

describe('a file of ours', () => {
  it('has the parameters that it had, by the same names', async () => {
    const model = buildModel(convolutional);
    const parameters = workedParameters(model);
    const back = imported(await exportOnnx(model, parameters));
    const shapes = (of: Model) => of.parameters.map(({ name, shape }) => `${name} ${shape}`).sort();
    expect(shapes(back.model)).toEqual(shapes(model));
    expect(back.model.trainedCount).toBe(model.trainedCount);
    for (const { name, offset, size } of model.parameters) {
      const own = back.model.parameters.find((each) => each.name === name)!;
      expect(back.parameters.subarray(own.offset, own.offset + size)).toEqual(
        parameters.slice(offset, offset + size),
      );
    }
  });

  it('is trained as the model that it was: the same loss, gradients and statistics', async () => {
    const model = buildModel(convolutional);
    const parameters = workedParameters(model);
    const back = imported(await exportOnnx(model, parameters));
    const [before, after] = [await step(model, parameters), await step(back.model, back.parameters)];
    expect(after.loss).toBeCloseTo(before.loss, 5);
    for (const [name, gradient] of before.gradients)
      expect(difference(gradient, after.gradients.get(name)!), name).toBeLessThan(1e-5);
  });
});

it('keeps what two layers share one parameter, in a file of ours and in the model that it becomes', async () => {
  const model = buildModel(
    defineModel({
      input: [4],
      build: (m, x) => {
        const weight = m.parameter('weight', [4, 4], { kind: 'normal', std: 1 });
        const first = m.scope('first', () => tanh(matmul(x, weight)));
        return m.scope('second', () => matmul(first, weight, false, true));
      },
    }),
  );
  const parameters = workedParameters(model);
  const back = imported(await exportOnnx(model, parameters), { isNumbers: true });
  expect([model.parameterCount, back.model.parameterCount]).toEqual([16, 16]);
  const x = values(8, 3);
  expect(difference(await predicted({ model, parameters }, x, 2), await predicted(back, x, 2))).toBeLessThan(
    1e-6,
  );
});

/** Loss, and gradients by name, of five samples. */
async function step(model: Model, parameters: Float32Array) {
  const request = { mode: 'train', samples: 5 } as const;
  const session = await openWasmSession(model, [request]);
  session.parameters.set(parameters);
  const program = session.program(request);
  program.x.set(directions(5 * sizeOf(model.sampleShape), 3));
  program.labels.set([0, 1, 2, 3, 0]);
  program.run();
  const named = model.parameters.map(
    ({ name, offset, size }) => [name, session.gradients.slice(offset, offset + size)] as const,
  );
  return { loss: program.lossSum[0]!, gradients: new Map(named) };
}

it('normalizes batches by operations where no layer can, in training and out of it', async () => {
  const parts = ['scale', 'shift', 'runningMean', 'runningVariance'].map((part) => `norm.${part}`);
  const variance = floats('norm.runningVariance', [4], [0.5, 1, 2, 1.5]);
  const tensors = [...parts.slice(0, 3).map((part, i) => floats(part, [4], directions(4, i))), variance];
  // A layer moves its statistics by less than all of the way.
  const whole = (momentum: number) =>
    imported(
      file(
        { x: ['n', 4] },
        [['BatchNormalization', `x ${parts.join(' ')}`, 'y', { momentum: { float: momentum } }]],
        tensors,
      ),
    );
  const [operations, layer] = [whole(0), whole(0.5)];
  expect([operations.model.layers[0]!.type, layer.model.layers[0]!.type]).toEqual([
    'BatchNormalization',
    'batchNorm',
  ]);
  const x = values(12, 2);
  expect(difference(await predicted(operations, x, 3), await predicted(layer, x, 3))).toBeLessThan(1e-6);
  const [a, b] = [
    await step(operations.model, operations.parameters),
    await step(layer.model, layer.parameters),
  ];
  expect(a.loss).toBeCloseTo(b.loss, 5);
  for (const part of parts)
    expect(difference(a.gradients.get(part)!, b.gradients.get(part)!), part).toBeLessThan(1e-5);
});

describe('images', () => {
  const nodes: NodeText[] = [
    ['Conv', 'x body.conv.weight body.conv.bias', 'a', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
    ['Relu', 'a', 'y'],
  ];
  const tensors = [floats('body.conv.weight', [4, 2, 3, 3]), floats('body.conv.bias', [4])];
  const bytes = file({ x: ['n', 2, 5, 6] }, nodes, tensors);

  it('have their channels last, in and out, and say so', () => {
    const { model, notes } = imported(bytes);
    expect([model.sampleShape, model.outputShape]).toEqual([
      [5, 6, 2],
      [5, 6, 4],
    ]);
    expect(names(model)).toEqual(['body-conv.weight', 'body-conv.bias']);
    expect(model.parameters[0]!.shape).toEqual([3, 3, 2, 4]);
    expect(notes).toEqual([
      'the samples of x are [rows, columns, channels] here, but channels first in the file',
    ]);
  });

  it('keep them first where that is asked for, with the same numbers', async () => {
    const [last, first] = [imported(bytes), imported(bytes, { keepsOrder: true })];
    expect([first.model.sampleShape, first.notes]).toEqual([[2, 5, 6], []]);
    const x = values(60, 5);
    const turned = Float32Array.from(x, (_, i) => x[(i % 2) * 30 + Math.floor(i / 2)]!);
    const a = await predicted(last, turned, 1);
    const b = await predicted(first, x, 1);
    expect([...a].sort()).toEqual([...b].sort());
    expect(a[1]).toBe(b[first.model.outputShape.length === 3 && first.model.outputShape[0] === 4 ? 30 : 1]);
  });
});

describe('a file for a batch of 1', () => {
  const product = floats('w', [4, 2]);

  it('takes any number of samples, which stay outermost', async () => {
    const model = imported(
      file(
        { x: [1, 3, 4] },
        [
          ['Reshape', 'x one', 'a'],
          ['MatMul', 'a w', 'b'],
          ['Reshape', 'b two', 'y'],
        ],
        [product, integers('one', [3, 4]), integers('two', [1, -1])],
      ),
    );
    expect(model.model.outputShape).toEqual([6]);
    const x = values(24, 9);
    const both = await predicted(model, x, 2);
    expect(difference(both.slice(0, 6), await predicted(model, x.slice(0, 12), 1))).toBeLessThan(1e-6);
    expect(difference(both.slice(6), await predicted(model, x.slice(12), 1))).toBeLessThan(1e-6);
  });

  it('is refused where samples would be mixed', () => {
    const refused = (nodes: NodeText[], tensors: OnnxTensor[] = []) =>
      expect(() => imported(file({ x: [1, 3, 4] }, nodes, tensors)));
    refused([['Softmax', 'x', 'y', { axis: 0 }]]).toThrow(
      /^Softmax \(node "Softmax0"\): works along axis 0, the sample axis\. The file is for a batch of 1/,
    );
    refused([['ReduceMean', 'x', 'y', { axes: [0], keepdims: 1 }]]).toThrow(/the sample axis/);
    refused(
      [
        ['Transpose', 'x', 'a', { perm: [1, 0, 2] }],
        ['Reshape', 'a s', 'y'],
      ],
      [integers('s', [3, 4])],
    ).toThrow(/merges the sample axis with another/);
  });
});

describe('weights', () => {
  it('are one parameter where they are used twice, but for what is the same number throughout', () => {
    const { model } = imported(
      file(
        { x: ['n', 4] },
        [
          ['Gemm', 'x m b', 'a'],
          ['Tanh', 'a', 't'],
          ['Gemm', 't m b', 's'],
          ['Add', 's c', 'u'],
          ['Mul', 'u c', 'y'],
        ],
        [floats('m', [4, 4]), floats('b', [4], Float32Array.of(0, 0, 0, 0)), floats('c', [4])],
      ),
    );
    expect(names(model)).toEqual(['Gemm1.m', 'Gemm1.b', 'Gemm2.b', 'Add1.c']);
  });

  it('are trained where a layer has them; constants, tables of masks and exponents are not', () => {
    const { model } = imported(
      file(
        { x: ['n', 3] },
        [
          ['Mul', 'x scale', 'a'],
          ['Pow', 'a exponents', 'b'],
          ['Constant', '', 'c', { value: { tensor: floats('', [3]) } }],
          ['Add', 'b c', 'd'],
          ['Where', 'mask d low', 'y'],
        ].map(([op, from, to, more]) => [op, from === '' ? '-' : from, to, more] as unknown as NodeText),
        [floats('scale', [3]), floats('exponents', [3], Float32Array.of(1, 2, 3)), floats('low', [3]), mask],
      ),
    );
    const trained = model.parameters.filter(({ statistic }) => !statistic).map(({ name }) => name);
    expect(trained).toEqual([expect.stringMatching(/\.scale$/)]);
    expect(model.parameters.every(({ statistic }) => !statistic || statistic.rate === 0)).toBe(true);
    expect(model.parameterCount - model.trainedCount).toBe(3 + 3 + 3 + 3);
  });

  const mask: OnnxTensor = { name: 'mask', type: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) };

  it('may lie in a file beside the model, and in no other place', () => {
    const numbers = directions(6, 4);
    const external = (location: string, offset = '4', length = '24') => {
      const entry = (key: string, value: string) => new Message().text(1, key).text(2, value);
      const tensor = new Message().integers(1, [3, 2]).integer(2, 1).text(8, 'w');
      for (const [key, value] of Object.entries({ location, offset, length }))
        tensor.message(13, entry(key, value));
      const whole = file({ x: ['n', 3] }, [['MatMul', 'x w', 'y']]);
      // Fields of a graph may come in several parts of it; a tensor is one more.
      const graph = new Message().message(5, tensor.integer(14, 1));
      return withinGraph(whole, graph.finish());
    };
    const read = (location: string, offset: number, length = 0) => {
      expect([location, offset, length]).toEqual(['w.bin', 4, 24]);
      return bytesOf(Float32Array.from(numbers));
    };
    expect(imported(external('w.bin'), { external: read }).parameters).toEqual(Float32Array.from(numbers));
    for (const place of ['../w.bin', '/etc/passwd', '..', 'a/b', '', 'c:w', 'a\\b'])
      expect(() => imported(external(place), { external: read })).toThrow(
        /only files in the folder of the model are read/,
      );
    expect(() => imported(external('w.bin', '4', '23'), { external: read })).toThrow(/expected 24 bytes/);
    expect(() => imported(external('w.bin', '-1'), { external: read })).toThrow(/offset -1/);
    expect(() => imported(external('w.bin'))).toThrow(/w\.bin, which cannot be read here/);
    expect(() => imported(external('w.bin'), { external: () => new Uint8Array(3) })).toThrow(
      /ends before its 24 bytes/,
    );
  });
});

/** A model whose graph has these further fields. */
function withinGraph(model: Uint8Array, more: Uint8Array): Uint8Array {
  const at = model.indexOf(0x3a);
  const [low, high] = [model[at + 1]!, model[at + 2]!];
  const isLong = low >= 0x80;
  const length = isLong ? (low & 0x7f) + high * 128 : low;
  const start = at + (isLong ? 3 : 2);
  const graph = Uint8Array.of(...model.subarray(start, start + length), ...more);
  const head = model.subarray(0, at);
  const tail = model.subarray(start + length);
  return Uint8Array.of(...head, ...new Message().content(7, graph).finish(), ...tail);
}

it('takes a shape without a name as that of the only input', () => {
  const open = file({ x: ['n', 't'] }, [['MatMul', 'x w', 'y']], [floats('w', [3, 2])]);
  expect(imported(open, { shapes: [3] }).model.sampleShape).toEqual([3]);
});

/** A node whose branches take what they need by themselves. */
function branchingNode(): Uint8Array {
  const text = (value: string) => new TextEncoder().encode(value);
  const branch = new Message().content(1, text('then_branch')).content(6, new Uint8Array()).finish();
  const [input, output, name, op] = ['yes', 'y', 'choose', 'If'].map(text);
  const node = new Message().content(1, input!).content(2, output!).content(3, name!).content(4, op!);
  return new Message().content(1, node.content(5, branch).finish()).finish();
}

describe('refusals', () => {
  const weight = floats('w', [3, 2]);
  const plain: NodeText[] = [['MatMul', 'x w', 'y']];

  it('carry the option that settles them, for programs that call it otherwise', () => {
    const two = file(
      { x: ['n', 3], z: ['n', 3] },
      [
        ['Add', 'x z', 'a'],
        ['MatMul', 'a w', 'y'],
      ],
      [weight],
    );
    const what = 'the file has the inputs x, z: name each';
    expect(() => importOnnx(two, { shapes: [3] })).toThrow(
      expect.objectContaining({ what, option: 'shapes', message: `${what} with the option shapes` }),
    );
  });

  it.each<[RegExp, Uint8Array, OnnxImportOptions?]>([
    [/^Foo \(node "Foo0"\): this operation is not supported$/, file({ x: ['n', 3] }, [['Foo', 'x', 'y']])],
    [
      /uses opset 12; 13 to 21 are supported: export it again/,
      file({ x: ['n', 3] }, plain, [weight], { opset: 12 }),
    ],
    [/first axis of size 8, but the first axis must be the batch/, file({ x: [8, 3] }, plain, [weight])],
    [
      /^If \(node "choose"\): this operation is not supported$/,
      withinGraph(file({ x: ['n', 3] }, [], [floats('yes', [])]), branchingNode()),
    ],
    [
      /node 1 gives "a", which node 0 gives as well: the file is damaged/,
      file(
        { x: ['n', 3] },
        [
          ['Relu', 'x', 'a'],
          ['Neg', 'x', 'a'],
          ['MatMul', 'a w', 'y'],
        ],
        [weight],
      ),
    ],
    [
      /node 0 gives "w", which is an initializer as well/,
      file({ x: ['n', 3] }, [['Relu', 'x', 'w'], ...plain], [weight]),
    ],
    [
      /it is not an ONNX file, but a Git LFS pointer/,
      new TextEncoder().encode('version https://git-lfs\noid 1'),
    ],
    [/it is not an ONNX file, but a web page/, new TextEncoder().encode('<!DOCTYPE html><p>404')],
    [
      /no input y to set the shape of; the inputs are x$/,
      file({ x: ['n', 't'] }, plain, [weight]),
      { shapes: { y: [3] } },
    ],
    [
      /Add \(node "Add0"\): computes with the whole number 1099511627777, which float32 does not have/,
      file({ x: ['n', 3] }, [['Add', 'x far', 'y']], [integers('far', [2 ** 40 + 1], [])], { type: 'int64' }),
    ],
    [
      /x has the shape \[n, t\]: set the sample shape, without the batch, with the option shapes$/,
      file({ x: ['n', 't'] }, plain, [weight]),
    ],
    [/the shape \[4\] does not match/, file({ x: ['n', 3] }, plain, [weight]), { shapes: { x: [4] } }],
    [
      /2 outputs, but a model has only one: choose one of y, z with the option output$/,
      file({ x: ['n', 3] }, plain, [weight], { outputs: ['y', 'z'] }),
    ],
    [
      /no node has the output "q"; the outputs of the file are y/,
      file({ x: ['n', 3] }, plain, [weight]),
      { output: 'q' },
    ],
    [/matmul: .*the inner sizes differ: 4/, file({ x: ['n', 4] }, plain, [weight])],
    [/depend on any input/, file({ x: ['n', 3] }, [['Neg', 'w', 'y']], [weight])],
    [
      /further output of an operation/,
      file({ x: ['n', 3] }, [
        ['Dropout', 'x', 'a m'],
        ['Not', 'm', 'y'],
      ]),
    ],
    [/elements of type string/, file({ x: ['n', 3] }, [['Cast', 'x', 'y', { to: 8 }]])],
    [
      /the shape must be known in advance/,
      file({ x: ['n', 3] }, [
        ['Cast', 'x', 's', { to: 7 }],
        ['Reshape', 'x s', 'y'],
      ]),
    ],
  ])('%s', (message, bytes, options) => {
    expect(() => imported(bytes, options)).toThrow(message);
  });

  it.each<[RegExp, Uint8Array]>([
    [/not an ONNX file, or a damaged one: it has no version of the format/, new Uint8Array()],
    [/takes "w", which no earlier node has as an output: the file is damaged/, file({ x: ['n', 3] }, plain)],
    [/wire type|part of|field of number|ends within/, new TextEncoder().encode('{"model": "no"}')],
    [
      /w \[3, 2\] has 20 bytes; expected 24/,
      file({ x: ['n', 3] }, plain, [{ ...weight, data: weight.data.slice(0, 20) }]),
    ],
    [/has the shape \[-3, 2\]/, file({ x: ['n', 3] }, plain, [{ ...weight, shape: [-3, 2] }])],
  ])('of what is damaged: %s', (message, bytes) => {
    let found: unknown;
    try {
      imported(bytes);
    } catch (error) {
      found = error;
    }
    expect(found).toMatchObject({
      name: 'OnnxImportError',
      isDamaged: true,
      message: expect.stringMatching(message),
    });
  });

  it('of what asks for more than a model may be, at once', () => {
    const large = (nodes: NodeText[], tensors: OnnxTensor[]) =>
      expect(() => imported(file({ x: ['n', 3] }, nodes, tensors)));
    const ranged: NodeText[] = [
      ['Range', 'zero end one', 'r'],
      ['Gather', 'r x', 'y'],
    ];
    const scalar = (name: string, value: number) => integers(name, [value], []);
    large(ranged, [scalar('zero', 0), scalar('one', 1), scalar('end', 2 ** 40)]).toThrow(/at most 4194304/);
    large(
      [
        ['Expand', 'one size', 'r'],
        ['Add', 'x r', 'y'],
      ],
      [scalar('one', 1), integers('size', [2 ** 20, 2 ** 20, 3])],
    ).toThrow(/too much computing/);
    large([['Tile', 'x many', 'y']], [integers('many', [1, 2 ** 40])]).toThrow(/classes is \d+/);
  });
});

it('names layers after modules, and ends them where weights are', () => {
  const path = (name: string, node: NodeText) => [name, node] as const;
  const nodes = [
    path('/enc/enc.0/Conv', ['Conv', 'x onnx::Conv_5', 'a', { kernel_shape: [1, 1] }]),
    path('/enc/enc.1/Relu', ['Relu', 'a', 'b']),
    path('/pool/GlobalAveragePool', ['GlobalAveragePool', 'b', 'c']),
    path('/Flatten', ['Flatten', 'c', 'd']),
    path('/fc/Gemm', ['Gemm', 'd fc.weight fc.bias', 'y', { transB: 1 }]),
  ] as const;
  const bytes = encodeOnnx({
    ...{
      irVersion: 8,
      opset: 17,
      producer: 'pytorch',
      description: '',
      graphName: 'g',
      metadata: { kept: 'yes' },
    },
    nodes: nodes.map(([name, [op, from, to, attributes = {}]]) => ({
      ...{ name, op, attributes, inputs: from.split(' '), outputs: [to] },
    })),
    tensors: [floats('onnx::Conv_5', [4, 3, 1, 1]), floats('fc.weight', [2, 4]), floats('fc.bias', [2])],
    inputs: [{ name: 'x', type: 'float', shape: ['batch', 3, 4, 4], description: '' }],
    outputs: [{ name: 'y', type: 'float', shape: ['batch', 2], description: '' }],
  });
  const { model, metadata, producer, opset, notes } = imported(bytes);
  expect(model.layers.map(({ name, type }) => `${name}: ${type}`)).toEqual([
    'enc-0: conv2d',
    'Flatten1: Flatten',
    'fc: dense',
  ]);
  expect(names(model)).toEqual(['enc-0.weight', 'fc.weight', 'fc.bias']);
  expect(model.description.classes).toBe(2);
  expect([metadata.get('kept'), producer, opset]).toEqual(['yes', 'pytorch', 17]);
  expect(notes.at(-1)).toBe('the 2 outputs are taken as class scores');
  expect(imported(bytes, { isNumbers: true }).model.description).toMatchObject({ output: [2] });
  expect(imported(bytes, { output: 'd' }).model.layers.map(({ name }) => name)).toEqual(['enc-0', 'output']);
});

it('tells of numbers that no weight can be', () => {
  const { parameters, notes } = imported(
    file(
      { x: ['n', 3] },
      [['MatMul', 'x w', 'y']],
      [floats('w', [3, 2], [1, Number.POSITIVE_INFINITY, 2, 3, Number.NEGATIVE_INFINITY, 4])],
    ),
  );
  expect([...parameters]).toEqual([1, 3.4028234663852886e38, 2, 3, -3.4028234663852886e38, 4]);
  expect(notes.at(-1)).toMatch(/^MatMul1\.w: infinite numbers, .* are the largest of float32 here/);
});
