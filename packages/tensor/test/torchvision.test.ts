/**
 * Weights under torchvision's names and in torch's layouts: a file of them gives, read into a preset, what PyTorch computed
 * with them in the same network. torchvision/generate.py made the fixtures; both sides make the weights up from names.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { adoptWeights } from '../src/io/adopt.ts';
import { encodeSafetensors } from '../src/io/safetensors.ts';
import { fromTorchvision, readWeights, readWrapped } from '../src/io/torchvision.ts';
import { describePreset } from '../src/models/presets.ts';
import type { NamedTensor } from '../src/named-tensor.ts';
import { buildModel, initializeParameters, type Model, type ModelDescription } from '../src/nn/model.ts';
import { transposed } from '../src/onnx/graph.ts';
import { sizeOf } from '../src/shape.ts';

interface Fixture {
  readonly preset: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
  readonly output: readonly number[];
}
const fixtures = JSON.parse(
  readFileSync(new URL('torchvision/fixtures.json', import.meta.url), 'utf8'),
) as readonly Fixture[];

/** `values` of generate.py. */
function drawn(name: string, shape: readonly number[], low: number, high: number): Float32Array {
  let seed = 2166136261;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  const values = new Float32Array(sizeOf(shape));
  for (let place = 0; place < values.length; place++) {
    const mixed = Math.imul(place + seed, 2654435761) >>> 0;
    values[place] = low + (high - low) * ((Math.imul(mixed ^ (mixed >>> 15), 2246822519) >>> 0) / 2 ** 32);
  }
  return values;
}

/** `fill` of generate.py. */
function madeUp([name, shape]: readonly [string, readonly number[]]): NamedTensor {
  const bound = Math.sqrt(6 / sizeOf(shape.slice(1)));
  if (shape.length > 1) return { name, shape, data: drawn(name, shape, -bound, bound) };
  const around1 = name.endsWith('running_var') || name.endsWith('weight');
  return { name, shape, data: around1 ? drawn(name, shape, 0.5, 1.5) : drawn(name, shape, -0.2, 0.2) };
}

const modelOf = ({ preset, options }: Fixture): Model => buildModel(describePreset(preset, options));
const tensorsOf = ({ tensors }: Fixture): NamedTensor[] =>
  tensors.filter(([name]) => !name.endsWith('num_batches_tracked')).map(madeUp);

/** Where only names and shapes count. */
const zeros = ({ tensors }: Fixture): NamedTensor[] =>
  tensors.map(([name, shape]) => ({ name, shape, data: new Float32Array(sizeOf(shape)) }));

/** A safetensors file with a counter of the type that torch gives it, I64. */
function withCounter(tensors: readonly NamedTensor[]): Uint8Array {
  const counter = { name: 'bn1.num_batches_tracked', shape: [2], data: new Float32Array(2) };
  const file = encodeSafetensors([...tensors, counter], { format: 'pt' });
  const text = Buffer.from(file.buffer, 0, Math.min(file.length, 65536)).toString('latin1');
  const entry = /"bn1.num_batches_tracked":\{"dtype":"F32","shape":\[2\]/.exec(text)!;
  file.set(Buffer.from(entry[0].replace('"F32"', '"I64"').replace('[2]', '[1]'), 'latin1'), entry.index);
  return file;
}

describe('weights with the names of torchvision', () => {
  const labelled = fixtures.map((each) => [`${each.preset} ${JSON.stringify(each.options)}`, each] as const);
  it.each(labelled)(
    '%s',
    async (_, fixture) => {
      const model = modelOf(fixture);
      const weights = new Map(
        readWeights(model, withCounter(tensorsOf(fixture))).map((one) => [one.name, one]),
      );
      const session = await openWasmSession(model, [{ mode: 'predict', samples: 2 }]);
      for (const { name, shape, offset } of model.parameters) {
        expect(weights.get(name)?.shape, name).toEqual(shape);
        session.parameters.set(weights.get(name)!.data, offset);
      }
      expect(weights.size).toBe(model.parameters.length);
      const program = session.program({ mode: 'predict', samples: 2 });
      const [rows, columns] = model.sampleShape as [number, number];
      const image = drawn('image', [2, 3, rows, columns], -1, 1);
      program.x.set(transposed(image, [2, 3, rows, columns], [0, 2, 3, 1]));
      program.run();
      const largest = Math.max(...fixture.output.map(Math.abs));
      fixture.output.forEach((value, i) => {
        expect(Math.abs(program.logits[i]! - value) / largest, `output ${i}`).toBeLessThan(2e-5);
      });
    },
    30_000,
  );

  it('a head of other classes comes with its own size, a layer that is not there does not come', () => {
    const fixture = fixtures.find(({ preset }) => preset === 'vgg-11')!;
    const model = modelOf({ ...fixture, options: { ...fixture.options, classes: 9 } });
    const tensors = zeros(fixture).filter(({ name }) => name !== 'features.4.bias');
    const weights = fromTorchvision(model, tensors);
    const shapeOf = (wanted: string) => weights.find(({ name }) => name === wanted)?.shape;
    expect(shapeOf('classifier-6.weight')).toEqual([16, 3]);
    expect(shapeOf('features-4.weight')).toEqual([3, 3, 64, 128]);
    expect(shapeOf('features-4.bias')).toBeUndefined();
  });

  it('flattened images of another size keep the size of their file', () => {
    const fixture = fixtures.find(({ preset }) => preset === 'alexnet')!;
    const model = modelOf({ ...fixture, options: { ...fixture.options, image: [127, 127] } });
    const weights = fromTorchvision(model, zeros(fixture));
    expect(weights.find(({ name }) => name === 'classifier-1.weight')!.shape).toEqual([1536, 24]);
  });

  it('a file of ours is taken as it is', () => {
    const model = modelOf(fixtures[1]!);
    const parameters = initializeParameters(model, 5);
    const tensors = model.parameters.map(({ name, shape, offset, size }) => ({
      name,
      shape,
      data: parameters.subarray(offset, offset + size),
    }));
    const back = readWeights(model, encodeSafetensors(tensors, { 'kasane.model': '{}' }));
    expect(back.map(({ name }) => name)).toEqual(model.parameters.map(({ name }) => name));
    expect(back[0]!.data).toEqual(tensors[0]!.data);
  });
});

it('says the shape of a tensor that does not fit as its file has it', () => {
  const layers = [
    { type: 'dense', units: 8, name: 'fc1' },
    { type: 'dense', units: 2, name: 'fc2' },
  ];
  const model = buildModel({ input: [2], classes: 2, layers } as ModelDescription);
  const tensor = (name: string, shape: readonly number[]): NamedTensor => ({
    ...{ name, shape },
    data: new Float32Array(sizeOf(shape)),
  });
  const file = [tensor('fc1.weight', [9, 3]), tensor('fc2.weight', [2, 8]), tensor('fc2.bias', [2])];
  const adopted = adoptWeights(model, initializeParameters(model, 1), fromTorchvision(model, file));
  expect(adopted.fresh).toEqual([
    'fc1.weight [2, 8] (the file has [9, 3], which is [3, 9] here)',
    'fc1.bias [8] (not in the file)',
  ]);
});

describe('names inside of a wrapper', () => {
  const layers = [{ type: 'dense', units: 3, name: 'fc' }];
  const model = buildModel({ input: [2], classes: 3, layers } as ModelDescription);
  const file = (prefix: string, more: readonly string[] = []) => {
    const shapes: readonly (readonly [string, readonly number[]])[] = [
      [`${prefix}fc.weight`, [3, 2]],
      [`${prefix}fc.bias`, [3]],
      ...more.map((name) => [name, [1]] as const),
    ];
    const tensors = shapes.map(([name, shape]) => ({ name, shape, data: new Float32Array(sizeOf(shape)) }));
    return encodeSafetensors(tensors, {});
  };

  it.each(['module.', '_orig_mod.', 'model.', 'module._orig_mod.', 'model.module.'])('%s', (prefix) => {
    const { tensors, wrapper } = readWrapped(model, file(prefix, ['loss.scale', `${prefix}extra`]));
    expect(wrapper).toBe(prefix);
    expect(tensors.map(({ name, shape }) => [name, ...shape])).toEqual([
      ['fc.weight', 2, 3],
      ['fc.bias', 3],
      ['loss.scale', 1],
      ['extra', 1],
    ]);
  });

  it('are left alone where some fit as they are, or none does', () => {
    expect(readWrapped(model, file('', ['module.fc.bias']))).toMatchObject({ wrapper: '' });
    expect(readWrapped(model, file('net.'))).toMatchObject({
      wrapper: '',
      tensors: [{ name: 'net.fc.weight' }, {}],
    });
    const own = buildModel({
      ...{ input: [2], classes: 3 },
      layers: [{ type: 'dense', units: 3, name: 'model' }],
    } as ModelDescription);
    const bare = encodeSafetensors([{ name: 'model.weight', shape: [3, 2], data: new Float32Array(6) }], {});
    expect(readWrapped(own, bare)).toMatchObject({ wrapper: '', tensors: [{ name: 'model.weight' }] });
  });
});
