/**
 * Weights of torchvision's image classifiers (ResNet, VGG, AlexNet) for models of the same layers here. Layers are matched by
 * name: ours have a dash where torchvision has a dot, so that `layer1-0-conv1` is its `layer1.0.conv1`. What differs is the
 * layout of the numbers, and that torch flattens images channels first.
 */

import type { NamedTensor } from '../named-tensor.ts';
import type { Model, ModelLayer } from '../nn/model.ts';
import { transposed } from '../onnx/graph.ts';
import { type Shape, sameShape, sizeOf } from '../shape.ts';
import { decodeSafetensors, SafetensorsError } from './safetensors.ts';

/** Of each layer type, torch's name of each parameter and the order of its axes here. */
const layouts: Readonly<
  Record<string, Readonly<Record<string, { readonly name: string; readonly order?: readonly number[] }>>>
> = {
  conv2d: { weight: { name: 'weight', order: [2, 3, 1, 0] }, bias: { name: 'bias' } },
  dense: { weight: { name: 'weight', order: [1, 0] }, bias: { name: 'bias' } },
  batchNorm: {
    scale: { name: 'weight' },
    shift: { name: 'bias' },
    runningMean: { name: 'running_mean' },
    runningVariance: { name: 'running_var' },
  },
};

/** How the numbers of a matrix lie. kasane: [in, out]; torch: [out, in], and torchvision's names. */
export type WeightLayout = 'kasane' | 'torch';

/**
 * The tensors of a safetensors file as a model's own, by its names: of a file that Kasane wrote as they are. A file without Kasane's
 * metadata is read in the layout in which names and shapes fit. Not all need be there, and sizes may differ: what fits is for the
 * caller to say.
 * @param layout as whoever has the file says
 * @throws SafetensorsError, also when both layouts fit
 */
export function readWeights(model: Model, bytes: Uint8Array, layout?: WeightLayout): NamedTensor[] {
  const { tensors, metadata, skipped } = decodeSafetensors(bytes, { others: 'skip' });
  for (const names of namesOf(model)) {
    const name = names.find((each) => skipped.has(each));
    if (name === undefined) continue;
    throw new SafetensorsError(
      `tensor '${name}' is ${skipped.get(name)}; only F32, F16, BF16 and F64 are supported. Save it as F32`,
    );
  }
  const ours = metadata['kasane.model'] !== undefined ? 'kasane' : undefined;
  const chosen = layout ?? ours ?? layoutOf(model, tensors);
  return chosen === 'kasane' ? tensors : fromTorchvision(model, tensors);
}

/** What each parameter may be called in a file. */
const namesOf = (model: Model): string[][] =>
  model.layers.flatMap((layer) =>
    layer.parameters.map(({ name }) => {
      const torch = layouts[layer.type]?.[name.slice(layer.name.length + 1)];
      return torch ? [name, `${layer.name.replaceAll('-', '.')}.${torch.name}`] : [name];
    }),
  );

/** In which layout the tensors fit the model. One that fits in one alone tells for all. */
function layoutOf(model: Model, tensors: readonly NamedTensor[]): WeightLayout {
  const own = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const torch = new Map(fromTorchvision(model, tensors).map((tensor) => [tensor.name, tensor]));
  const seen = { kasane: '', torch: '', both: '' };
  for (const layer of model.layers) {
    // Of layers that torch has in the same layout, nothing can be told.
    if (!layouts[layer.type]) continue;
    for (const { name, shape } of layer.parameters) {
      const [as, turned] = [own.get(name), torch.get(name)];
      const fits = as !== undefined && sameShape(as.shape, shape);
      const fitsTurned = turned !== undefined && sameShape(turned.shape, shape);
      if (fits && fitsTurned) {
        if (!sameNumbers(as.data, turned.data)) seen.both ||= name;
      } else if (fits) seen.kasane ||= name;
      else if (fitsTurned) seen.torch ||= name;
    }
  }
  if (seen.kasane !== '' && seen.torch === '') return 'kasane';
  if (seen.both === '' || (seen.torch !== '' && seen.kasane === '')) return 'torch';
  const { shape } = own.get(seen.both)!;
  throw new SafetensorsError(
    `tensor '${seen.both}' [${shape.join(', ')}] fits both as [in, out], the layout of Kasane, and as [out, in], the layout of PyTorch. Set initLayout: kasane or torch`,
  );
}

const sameNumbers = (a: Float32Array, b: Float32Array) =>
  a.every((value, index) => Object.is(value, b[index]));

/**
 * Those tensors that belong to layers of the model, under its names and in its layouts. A tensor of another size than the
 * model's (the head of other classes) keeps its size; what the model has and the file lacks is not there.
 */
export function fromTorchvision(model: Model, tensors: readonly NamedTensor[]): NamedTensor[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return model.layers.flatMap((layer) =>
    layer.parameters.flatMap((parameter): NamedTensor[] => {
      const own = parameter.name.slice(layer.name.length + 1);
      const layout = layouts[layer.type]?.[own];
      // An embedding is the same in both.
      const same = layouts[layer.type] ? undefined : byName.get(parameter.name);
      if (same) return [same];
      const tensor = layout && byName.get(`${layer.name.replaceAll('-', '.')}.${layout.name}`);
      if (!tensor) return [];
      const { name } = parameter;
      const image = layer.type === 'dense' && own === 'weight' ? flattenedImage(model, layer) : undefined;
      const shapeInFile = tensor.shape;
      if (image) return [{ name, shapeInFile, ...denseOfImage(tensor, image) }];
      const order = layout.order ?? tensor.shape.map((_, axis) => axis);
      if (order.length !== tensor.shape.length) return [{ ...tensor, name }];
      return [
        {
          name,
          shapeInFile,
          shape: order.map((axis) => tensor.shape[axis]!),
          data: transposed(tensor.data, tensor.shape, order),
        },
      ];
    }),
  );
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
