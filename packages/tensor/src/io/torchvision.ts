/**
 * Weights that others saved for models of the same layers here: under our names or torch's, in our layout or torch's, in any pair of them.
 * torchvision's image classifiers (ResNet, VGG, AlexNet) are matched by name: ours have a dash where torchvision has a dot, so that
 * `layer1-0-conv1` is its `layer1.0.conv1`. What differs is the layout of the numbers, and that torch flattens images channels first.
 */

import type { NamedTensor } from '../named-tensor.ts';
import type { Model, ModelLayer } from '../nn/model.ts';
import { transposed } from '../onnx/graph.ts';
import { type Shape, sameShape, sizeOf } from '../shape.ts';
import { decodeSafetensors, SafetensorsError } from './safetensors.ts';
import { unwrapped, wrapperOf } from './wrapped-names.ts';

interface TorchParameter {
  readonly name: string;
  /** Of its axes here; as they are where none is given. */
  readonly order?: readonly number[];
}

const linear = (name: string): Readonly<Record<string, TorchParameter>> => ({
  [`${name}weight`]: { name: `${name}weight`, order: [1, 0] },
  [`${name}bias`]: { name: `${name}bias` },
});
const attention = { ...linear('query.'), ...linear('key.'), ...linear('value.'), ...linear('output.') };

/** Of each layer type, torch's name of each parameter and the order of its axes here. */
const layouts: Readonly<Record<string, Readonly<Record<string, TorchParameter>>>> = {
  conv2d: { weight: { name: 'weight', order: [2, 3, 1, 0] }, bias: { name: 'bias' } },
  conv1d: { weight: { name: 'weight', order: [2, 1, 0] }, bias: { name: 'bias' } },
  conv2dTranspose: { weight: { name: 'weight', order: [2, 3, 1, 0] }, bias: { name: 'bias' } },
  squeezeExcite: { ...linear('squeeze.'), ...linear('excite.') },
  dense: linear(''),
  batchNorm: {
    scale: { name: 'weight' },
    shift: { name: 'bias' },
    runningMean: { name: 'running_mean' },
    runningVariance: { name: 'running_var' },
  },
  groupNorm: { scale: { name: 'weight' }, shift: { name: 'bias' } },
  instanceNorm: { scale: { name: 'weight' }, shift: { name: 'bias' } },
  rmsNorm: { scale: { name: 'weight' } },
  prelu: { slope: { name: 'weight' } },
  selfAttention: attention,
  transformerBlock: { ...attention, ...linear('expand.'), ...linear('contract.') },
};

/** How the numbers of a matrix lie. kasane: [in, out]; torch: [out, in]. */
export type WeightLayout = 'kasane' | 'torch';

/**
 * The tensors of a safetensors file as a model's own, by its names: of a file that Kasane wrote as they are. A file without Kasane's
 * metadata is read in the layout in which names and shapes fit. Not all need be there, and sizes may differ: what fits is for the
 * caller to say.
 * @param layout as whoever has the file says
 * @throws SafetensorsError, also when both layouts fit
 */
export const readWeights = (model: Model, bytes: Uint8Array, layout?: WeightLayout): NamedTensor[] =>
  readWrapped(model, bytes, layout).tensors;

/** The same, and the prefix that a wrapper of PyTorch's had put in front of the names; '' where there was none. */
export function readWrapped(
  model: Model,
  bytes: Uint8Array,
  layout?: WeightLayout,
): { readonly tensors: NamedTensor[]; readonly wrapper: string } {
  const { tensors: written, metadata, skipped } = decodeSafetensors(bytes, { others: 'skip' });
  const places = expected(model);
  const wrapper = wrapperOf(
    [...written.map(({ name }) => name), ...skipped.keys()],
    new Set(places.flatMap(({ names }) => names)),
  );
  for (const { names } of places) {
    const name = names.map((each) => wrapper + each).find((each) => skipped.has(each));
    if (name === undefined) continue;
    throw new SafetensorsError(
      `tensor '${name}' is ${skipped.get(name)}; only F32, F16, BF16 and F64 are supported. Save it as F32`,
    );
  }
  const tensors = written.map((tensor) => ({ ...tensor, name: unwrapped(tensor.name, wrapper) }));
  if (metadata['kasane.model'] !== undefined && layout === undefined) return { tensors, wrapper };
  const found = find(model, tensors);
  const chosen = layout ?? layoutOf(model, found);
  const used = new Set(found.map(({ tensor }) => tensor));
  const named = [
    ...found.map((each) => (chosen === 'kasane' ? { ...each.tensor, name: each.name } : turned(model, each))),
    ...tensors.filter((tensor) => !used.has(tensor)),
  ];
  return { tensors: named, wrapper };
}

/** A parameter of a model, and what it may be called in a file. */
interface Expected {
  readonly layer: ModelLayer;
  readonly name: string;
  readonly shape: Shape;
  readonly torch: TorchParameter | undefined;
  readonly names: readonly string[];
}

function expected(model: Model): Expected[] {
  const own = new Set(model.parameters.map(({ name }) => name));
  return model.layers.flatMap((layer) =>
    layer.parameters.map(({ name, shape }) => {
      const short = name.slice(layer.name.length + 1);
      const torch = layouts[layer.type]?.[short];
      const dotted = layer.name.replaceAll('-', '.');
      const others = [layer.name, dotted].flatMap((prefix) =>
        [torch?.name ?? short, short].map((end) => `${prefix}.${end}`),
      );
      // Another parameter's own name is no other name of this one.
      return { layer, name, shape, torch, names: [name, ...others.filter((other) => !own.has(other))] };
    }),
  );
}

interface Found extends Expected {
  readonly tensor: NamedTensor;
}

/** What a file has for each parameter, whatever its layout. */
function find(model: Model, tensors: readonly NamedTensor[]): Found[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return expected(model).flatMap((each) => {
    const name = each.names.find((one) => byName.has(one));
    return name === undefined ? [] : [{ ...each, tensor: byName.get(name)! }];
  });
}

/** In which layout the tensors fit the model. One that fits in one alone tells for all; names of parameters tell where none does. */
function layoutOf(model: Model, found: readonly Found[]): WeightLayout {
  const seen: Partial<Record<WeightLayout | 'both', Found>> = {};
  const named: Partial<Record<WeightLayout, Found>> = {};
  for (const each of found) {
    const { name, shape, tensor, torch } = each;
    // A dot in place of a dash says nothing of the layout; running_mean in place of runningMean does.
    if (torch && !name.endsWith(`.${torch.name}`))
      named[tensor.name.endsWith(`.${torch.name}`) ? 'torch' : 'kasane'] ??= each;
    const other = turned(model, each);
    const fits = sameShape(tensor.shape, shape);
    const fitsTurned = sameShape(other.shape, shape);
    if (fits && fitsTurned) {
      if (!sameNumbers(tensor.data, other.data)) seen.both ??= each;
    } else if (fits) seen.kasane ??= each;
    else if (fitsTurned) seen.torch ??= each;
  }
  const { kasane, torch } = seen.kasane || seen.torch ? seen : named;
  if (kasane && !torch) return 'kasane';
  if (!seen.both || (torch && !kasane)) return 'torch';
  const { name, shape } = seen.both.tensor;
  throw new SafetensorsError(
    `tensor '${name}' [${shape.join(', ')}] fits both as [in, out], the layout of Kasane, and as [out, in], the layout of PyTorch. Set initLayout: kasane or torch`,
  );
}

const sameNumbers = (a: Float32Array, b: Float32Array) =>
  a.every((value, index) => Object.is(value, b[index]));

/**
 * Those tensors that belong to layers of the model, under its names and from torch's layouts to its own. A tensor of another size than
 * the model's (the head of other classes) keeps its size; what the model has and the file lacks is not there.
 */
export const fromTorchvision = (model: Model, tensors: readonly NamedTensor[]): NamedTensor[] =>
  find(model, tensors).map((found) => turned(model, found));

function turned(model: Model, { layer, name, tensor, torch }: Found): NamedTensor {
  const order = torch?.order;
  // An embedding is the same in both.
  if (order?.length !== tensor.shape.length) return { ...tensor, name };
  const shapeInFile = tensor.shape;
  const image = layer.type === 'dense' ? flattenedImage(model, layer) : undefined;
  if (image) return { name, shapeInFile, ...denseOfImage(tensor, image) };
  return {
    name,
    shapeInFile,
    shape: order.map((axis) => tensor.shape[axis]!),
    data: transposed(tensor.data, tensor.shape, order),
  };
}

/** The image whose flattened numbers the layer reads, if it does: [rows, columns, channels]. */
function flattenedImage(model: Model, layer: ModelLayer): Shape | undefined {
  let source = model.layers[layer.from[0]!];
  while (source?.inputShape.length === 1 && source.from.length === 1 && source.parameters.length === 0) {
    source = model.layers[source.from[0]!];
  }
  return source?.type === 'flatten' && source.inputShape.length === 3 ? source.inputShape : undefined;
}

/** Torch's [units, channels * rows * columns] to ours, [rows * columns * channels, units]. */
function denseOfImage(tensor: NamedTensor, image: Shape): { shape: Shape; data: Float32Array } {
  const [rows, columns, channels] = image as readonly [number, number, number];
  const [units, width] = tensor.shape as readonly [number, number];
  const data =
    width === sizeOf(image)
      ? transposed(tensor.data, [units, channels, rows, columns], [2, 3, 1, 0])
      : transposed(tensor.data, tensor.shape, [1, 0]);
  return { shape: [width, units], data };
}
