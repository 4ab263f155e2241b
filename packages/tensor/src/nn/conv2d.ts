/** Convolution layer: y = x * W + b, W stored as [height, width, channels / groups, filters]. */
import { channelsFirst } from '../onnx/graph.ts';
import { add } from '../ops/pointwise.ts';
import { convolve, requireGroups, windowedExtents } from './convolution.ts';
import { imageOf } from './image.ts';
import { weightInitializer } from './initializers.ts';
import { defineLayer, LayerError, type ParameterPlan, pairOf } from './layer.ts';
import { bias, dilationOf, filters, groups, noneOrMore, strideOf, windowSize } from './window-options.ts';

export const conv2d = defineLayer({
  type: 'conv2d',
  summary: 'Convolution over images [rows, columns, channels].',
  about: {
    explains:
      'Slides small filters over an image; each filter is a learned pattern, and its output is a map of where the image contains the pattern. All positions share the same weights, so it needs few parameters and recognizes a pattern wherever it is. The first convolutions of a network usually find edges and colors, later ones parts of objects.',
    takes: '[rows, columns, channels]',
    gives:
      '[rows out, columns out, filters], where rows out = floor((rows + 2 padding - dilation (size - 1) - 1) / stride) + 1',
    formula:
      'y[i, j, f] = b[f] + sum over u, v, c of x[stride i + dilation u - padding, stride j + dilation v - padding, c] W[u, v, c, f]',
    paper: 'LeCun et al. 1989, Backpropagation Applied to Handwritten Zip Code Recognition',
    example: {
      input: [28, 28, 1],
      output: [28, 28, 32],
      layers: [{ type: 'conv2d', filters: 32, size: 3, padding: 1 }, { type: 'relu' }],
    },
  },
  options: {
    filters,
    size: windowSize,
    stride: strideOf('pair'),
    padding: noneOrMore(
      'pair',
      'Rows of zeros above and below, columns left and right. Half the window size keeps the image size.',
    ),
    dilation: dilationOf('pair'),
    groups,
    bias,
  },
  plan: (input, options, { followedBy }) => {
    const { filters, groups, bias } = options;
    const [rows, columns, channels] = imageOf(input);
    requireGroups(groups, channels, filters);
    const [height, width] = pairOf(options.size);
    const [tall, wide] = windowedExtents([rows, columns], [height, width], {
      stride: pairOf(options.stride),
      padding: pairOf(options.padding),
      dilation: pairOf(options.dilation),
    });
    if (tall < 1 || wide < 1) {
      throw new LayerError(`a window of ${height} x ${width} does not fit an image of ${rows} x ${columns}`);
    }
    const taps = height * width * (channels / groups);
    const weight: ParameterPlan = {
      name: 'weight',
      shape: [height, width, channels / groups, filters],
      initializer: weightInitializer(taps, (height * width * filters) / groups, followedBy),
    };
    const offset: ParameterPlan = { name: 'bias', shape: [filters], initializer: { kind: 'zeros' } };
    return { outputShape: [tall, wide, filters], parameters: bias ? [weight, offset] : [weight] };
  },
  forward: (x, { options, parameters }) => {
    const [weight, bias] = parameters;
    const y = convolve(x, weight!, {
      stride: pairOf(options.stride),
      padding: pairOf(options.padding),
      dilation: pairOf(options.dilation),
      groups: options.groups,
    });
    return bias ? add(y, bias) : y;
  },
  onnx: (graph, [x], { options, parameters: [weight, bias] }) => {
    const order = channelsFirst(4);
    const padding = pairOf(options.padding);
    const inputs = [graph.inOrder(x!, order), graph.parameter(weight!, [3, 2, 0, 1])];
    const name = graph.node('Conv', bias ? [...inputs, graph.parameter(bias)] : inputs, {
      kernel_shape: pairOf(options.size),
      strides: pairOf(options.stride),
      pads: [...padding, ...padding],
      dilations: pairOf(options.dilation),
      group: options.groups,
    });
    return { name, rank: 4, order };
  },
});
