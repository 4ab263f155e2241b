/**
 * Weights of torchvision's image classifiers (ResNet, VGG, AlexNet) for models of the same layers here. Layers are matched by
 * name: ours have a dash where torchvision has a dot, so that `layer1-0-conv1` is its `layer1.0.conv1`. What differs is the
 * layout of the numbers, and that torch flattens images channels first.
 */
import type { Model, ModelLayer } from '../nn/model.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { transposed } from './onnx/graph.ts';
import { decodeSafetensors, type NamedTensor } from './safetensors.ts';

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

/**
 * The tensors of a safetensors file as a model's own, by its names: of a file that Kasane wrote as they are, of others as
 * `fromTorchvision` gives them. Not all need be there, and sizes may differ: what fits is for the caller to say.
 * @throws SafetensorsError
 */
export function readWeights(model: Model, bytes: Uint8Array): NamedTensor[] {
  const { tensors, metadata } = decodeSafetensors(bytes, { others: 'skip' });
  return metadata['kasane.model'] === undefined ? fromTorchvision(model, tensors) : tensors;
}

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
      const tensor = layout && byName.get(`${layer.name.replaceAll('-', '.')}.${layout.name}`);
      if (!tensor) return [];
      const { name } = parameter;
      const image = layer.type === 'dense' && own === 'weight' ? flattenedImage(model, layer) : undefined;
      if (image) return [{ name, ...denseOfImage(tensor, image) }];
      const order = layout.order ?? tensor.shape.map((_, axis) => axis);
      if (order.length !== tensor.shape.length) return [{ ...tensor, name }];
      return [
        {
          name,
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
