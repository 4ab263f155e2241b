/** Files of weights as Python leaves them: without metadata, in other types, in torch's layout, or no such files at all. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adoptWeights, notFinite } from '../src/io/adopt.ts';
import { decodeSafetensors, encodeSafetensors } from '../src/io/safetensors.ts';
import { readWeights } from '../src/io/torchvision.ts';
import type { NamedTensor } from '../src/named-tensor.ts';
import { buildModel, initializeParameters, type Model } from '../src/nn/model.ts';
import { transposed } from '../src/onnx/graph.ts';

const denseModel = (...units: number[]) => modelOf('fc', units);
const modelOf = (name: string, units: readonly number[]) =>
  buildModel({
    input: [units[0]!],
    classes: units.at(-1)!,
    layers: units.slice(1).map((count, index) => ({ type: 'dense', units: count, name: `${name}${index}` })),
  });
/** With dashes in the names of its layers, and all that has a layout or an order of its own. */
const dashed = buildModel({
  input: [6],
  classes: 3,
  layers: [
    { type: 'embedding', tokens: 9, units: 4, name: 'words-0' },
    { type: 'transformerBlock', heads: 2, name: 'block-0' },
    { type: 'selfAttention', heads: 2, name: 'look-0' },
    { type: 'layerNorm', name: 'norm-0' },
    { type: 'flatten' },
    { type: 'dense', units: 4, name: 'hidden-0' },
    { type: 'dense', units: 3, name: 'head' },
  ],
});
const dotted = (tensors: readonly NamedTensor[]): NamedTensor[] =>
  tensors.map((tensor) => ({ ...tensor, name: tensor.name.replaceAll('-', '.') }));
const tensorsOf = (model: Model): NamedTensor[] => {
  const parameters = initializeParameters(model, 3);
  return model.parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
};
/** As torch has them: matrices turned but for those of embeddings, the same names. */
const turned = (tensors: readonly NamedTensor[]): NamedTensor[] =>
  tensors.map((tensor) => {
    const [rows, columns] = tensor.shape;
    if (columns === undefined || tensor.name.startsWith('words')) return tensor;
    const data = tensor.data.map((_, at) => tensor.data[(at % rows!) * columns + Math.floor(at / rows!)]!);
    return { ...tensor, shape: [columns, rows!], data };
  });
const numbers = (tensors: readonly NamedTensor[]) =>
  Object.fromEntries(tensors.map(({ name, data }) => [name, [...data]]));

describe('files without metadata', () => {
  const mixed = denseModel(4, 4, 3);
  const square = denseModel(4, 4, 4);

  it('own weights are taken as they are, squares among them', () => {
    const own = tensorsOf(mixed);
    for (const metadata of [{}, { format: 'pt' }]) {
      expect(numbers(readWeights(mixed, encodeSafetensors(own, metadata)))).toEqual(numbers(own));
    }
  });

  it('those of torch are turned, squares among them', () => {
    const own = tensorsOf(mixed);
    expect(numbers(readWeights(mixed, encodeSafetensors(turned(own))))).toEqual(numbers(own));
  });

  it('what fits both ways is refused, until somebody says which', () => {
    const own = tensorsOf(square);
    const file = encodeSafetensors(own);
    expect(() => readWeights(square, file)).toThrow(
      /tensor 'fc0\.weight' \[4, 4\] fits both as \[in, out\].* and as \[out, in\].*Set initLayout: kasane or torch/,
    );
    expect(numbers(readWeights(square, file, 'kasane'))).toEqual(numbers(own));
    expect(numbers(readWeights(square, encodeSafetensors(turned(own)), 'torch'))).toEqual(numbers(own));
    const ours = encodeSafetensors(own, { 'kasane.model': '{}' });
    expect(numbers(readWeights(square, ours))).toEqual(numbers(own));
  });

  it.each<[string, (tensors: readonly NamedTensor[]) => NamedTensor[]]>([
    ['dashes and the layout of Kasane', (own) => [...own]],
    ['dashes and the layout of PyTorch', turned],
    ['dots and the layout of Kasane', dotted],
    ['dots and the layout of PyTorch', (own) => dotted(turned(own))],
  ])('names with %s', (_, written) => {
    const own = tensorsOf(dashed);
    const file = encodeSafetensors(written(own));
    expect(numbers(readWeights(dashed, file))).toEqual(numbers(own));
    expect(adoptWeights(dashed, initializeParameters(dashed, 1), readWeights(dashed, file))).toMatchObject({
      fresh: [],
      unused: [],
    });
  });

  it('what the model does not have is named, in either layout', () => {
    const own = tensorsOf(mixed);
    const extra = { name: 'other.weight', shape: [1], data: new Float32Array(1) };
    for (const tensors of [own, turned(own)]) {
      const read = readWeights(mixed, encodeSafetensors([...tensors, extra]));
      expect(adoptWeights(mixed, initializeParameters(mixed, 1), read).unused).toEqual(['other.weight']);
    }
  });

  it("a tensor that has a parameter's own name is not another's with dots", () => {
    const model = buildModel({
      input: [3, 2],
      classes: 2,
      layers: [
        { type: 'selfAttention', heads: 1, name: 'a' },
        { type: 'flatten' },
        { type: 'dense', units: 2, name: 'a-query' },
      ],
    });
    const own = tensorsOf(model).filter(({ name }) => name.startsWith('a.'));
    expect(numbers(readWeights(model, encodeSafetensors(own), 'kasane'))).toEqual(numbers(own));
  });

  it("layers that came later are read by torch's names and in its layouts", () => {
    const model = buildModel({
      input: [4, 5, 2],
      classes: 3,
      layers: [
        { type: 'conv2dTranspose', filters: 4, size: [2, 3], name: 'up' },
        { type: 'groupNorm', groups: 2, name: 'norm' },
        { type: 'prelu', name: 'act' },
        { type: 'squeezeExcite', reduction: 2, name: 'gate' },
        { type: 'reshape', shape: [35, 4] },
        { type: 'conv1d', filters: 3, size: 35, name: 'line' },
        { type: 'rmsNorm', name: 'root' },
        { type: 'flatten' },
      ],
    });
    const own = tensorsOf(model);
    // torch's axes by ours: of weights of four, three and two axes the last come first.
    const orders: Readonly<Record<number, readonly number[]>> = { 4: [3, 2, 0, 1], 3: [2, 1, 0], 2: [1, 0] };
    const written = own.map(({ name, shape, data }) => {
      const order = orders[shape.length] ?? [0];
      return {
        name: name
          .replace(/(norm|root)\.scale|act\.slope/, (part) => `${part.split('.')[0]}.weight`)
          .replace('norm.shift', 'norm.bias'),
        shape: order.map((axis) => shape[axis]!),
        data: transposed(data, shape, order),
      };
    });
    expect(written.map(({ name }) => name)).toContain('act.weight');
    expect(numbers(readWeights(model, encodeSafetensors(written)))).toEqual(numbers(own));
  });

  it('a square that is the same both ways is no question', () => {
    const own = tensorsOf(square).map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0.5) }));
    expect(numbers(readWeights(square, encodeSafetensors(own)))).toEqual(numbers(own));
  });

  it('layers of all kinds come back from a file whose metadata are lost', () => {
    const model = buildModel({
      input: [8, 8, 1],
      classes: 3,
      layers: [
        { type: 'conv2d', filters: 4, size: 3, name: 'conv' },
        { type: 'batchNorm', name: 'bn' },
        { type: 'flatten' },
        { type: 'dense', units: 5, name: 'fc' },
        { type: 'dense', units: 3, name: 'head' },
      ],
    });
    const own = tensorsOf(model);
    expect(numbers(readWeights(model, encodeSafetensors(own)))).toEqual(numbers(own));
  });

  it('by property: any sizes, either layout, are read right or refused', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 5 });
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.boolean(), (units, torch, dots) => {
        const model = modelOf('fc-', [...units, 2]);
        const own = tensorsOf(model);
        const laid = torch ? turned(own) : own;
        const file = encodeSafetensors(dots ? dotted(laid) : laid);
        try {
          expect(numbers(readWeights(model, file))).toEqual(numbers(own));
        } catch (error) {
          expect((error as Error).message).toMatch(/Set initLayout/);
        }
      }),
    );
  });
});

describe('types', () => {
  const model = denseModel(2, 3);
  const file = (dtype: string, bytes: Uint8Array) => {
    const header = { 'fc0.weight': { dtype, shape: [2, 3], data_offsets: [0, bytes.length] } };
    const json = new TextEncoder().encode(JSON.stringify(header));
    const all = new Uint8Array(8 + json.length + bytes.length);
    new DataView(all.buffer).setBigUint64(0, BigInt(json.length), true);
    all.set(json, 8);
    all.set(bytes, 8 + json.length);
    return all;
  };

  it('doubles are rounded to floats', () => {
    const values = Float64Array.of(0.1, -1e-300, 3, Infinity, 2, 1);
    const { tensors } = decodeSafetensors(file('F64', new Uint8Array(values.buffer)));
    expect([...tensors[0]!.data]).toEqual([Math.fround(0.1), -0, 3, Infinity, 2, 1]);
    const large = Float64Array.from(values, (value, at) => (at === 1 ? 1e300 : value));
    expect(() => decodeSafetensors(file('F64', new Uint8Array(large.buffer)))).toThrow(
      /^tensor '.*' has 1e\+300, which is too large for float32\. /,
    );
  });

  it.each(['I8', 'F8_E4M3', 'BOOL'])('a weight of type %s is refused by its name', (dtype) => {
    expect(() => readWeights(model, file(dtype, new Uint8Array(6)))).toThrow(
      new RegExp(`'fc0\\.weight' is ${dtype}; only F32, F16, BF16 and F64 are supported`),
    );
  });

  it('numbers that are none are named', () => {
    const parameters = initializeParameters(model, 1);
    expect(notFinite(model, parameters)).toBeUndefined();
    parameters[1] = Number.NaN;
    parameters[2] = Infinity;
    expect(notFinite(model, parameters)).toBe("'fc0.weight' has 2 of 6 numbers that are NaN or infinite");
  });
});

describe('what is no safetensors file', () => {
  const text = (value: string) => Buffer.from(value.padEnd(64), 'latin1');
  const bigEndian = () => {
    const bytes = Buffer.from(encodeSafetensors(tensorsOf(denseModel(2, 3))));
    bytes.subarray(0, 8).reverse();
    return bytes;
  };
  it.each<[string, Buffer, RegExp]>([
    ['a .pt file', text('PK\x03\x04archive/data.pkl'), /a PyTorch \(pickle\) file.*save_file/],
    ['an old .pt file', text('\x80\x02\x8a\nl\xfc\x9cF'), /a Python pickle.*PyTorch.*save_file/],
    ['a pickle of today', text('\x80\x04\x95\n\0\0'), /a Python pickle/],
    ['an .npz file', text('PK\x03\x04....x.npy'), /a NumPy archive \(\.npz\).*safetensors\.numpy/],
    ['a .keras file', text('PK\x03\x04..config.json..model.weights.h5'), /a Keras model/],
    ['another ZIP file', text('PK\x03\x04....notes.txt'), /it is a ZIP file\. Unpack it/],
    ['an .npy file', text("\x93NUMPY\x01\0v\0{'descr': '<f4'}"), /a NumPy array \(\.npy\)/],
    ['a .gguf file', text('GGUF\x03\0\0\0'), /it is GGUF, as used by llama\.cpp/],
    ['an .onnx file', text('\x08\x08\x12\x06kasane2\x15'), /it is probably ONNX/],
    ['a .tar file', text(`${'model'.padEnd(257, '\0')}ustar\0`), /it is a tar archive\. Unpack it/],
    ['a .gz file', text('\x1f\x8b\x08\0\0\0\0\0'), /compressed with gzip.*gunzip/],
    [
      'an index of several files',
      text('{\n  "metadata": {}, "weight_map": {}}'),
      /several safetensors files/,
    ],
    ['a table', text('a,b,y\n1,2,yes\n'), /it is a text file/],
    ['a file of Keras', text('\x89HDF\r\n\x1a\n'), /it is HDF5/],
    ['a pointer of Git LFS', text('version https://git-lfs.github.com/spec/v1\n'), /git lfs pull/],
    ['a web page', text('<!DOCTYPE html><html>'), /a web page/],
    ['a length in the other order', bigEndian(), /not the length of a header/],
    [
      'a header of petabytes',
      Buffer.concat([Buffer.alloc(7, 0xff), Buffer.alloc(60)]),
      /not the length of a header/,
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });
});
