/** Convolution over sequences: that of images of one row. W is stored as [size, channels / groups, filters]. */
import { channelsFirst } from '../onnx/graph.ts';
import { reshape } from '../ops/movement.ts';
import { pad } from '../ops/parts.ts';
import { add } from '../ops/pointwise.ts';
import { formatShape } from '../shape.ts';
import { convolve, requireGroups, windowedExtents } from './convolution.ts';
import { weightInitializer } from './initializers.ts';
import { defineLayer, LayerError, type OptionValues, type ParameterPlan } from './layer.ts';
import { bias, dilationOf, filters, groups, noneOrMore, strideOf, windowLength } from './window-options.ts';

const options = {
  filters,
  size: windowLength,
  stride: strideOf('integer'),
  padding: noneOrMore('integer', 'Steps of zeros before and behind. Half the window size keeps the length.'),
  dilation: dilationOf('integer'),
  groups,
  causal: {
    kind: 'boolean',
    default: false,
    describe:
      'Whether a step sees only itself and earlier steps: zeros come before the sequence alone, as many as keep its length.',
  },
  bias,
} as const;

/** Zeros before and behind the sequence. */
const around = ({
  causal,
  size,
  dilation,
  padding,
}: OptionValues<typeof options>): readonly [number, number] =>
  causal ? [dilation * (size - 1), 0] : [padding, padding];

export const conv1d = defineLayer({
  type: 'conv1d',
  summary: 'Convolution over sequences [time, channels].',
  about: {
    explains:
      'Slides small filters along a sequence; each filter is a learned pattern of a few steps, and its output tells where the sequence contains the pattern. It suits sound, sensor data and other series, trains faster than a recurrent layer, and sees as far as its window: stack several, or use dilation, to see further. Set causal where the future must not be seen.',
    takes: '[time, channels]',
    gives:
      '[time out, filters], where time out = floor((time + 2 padding - dilation (size - 1) - 1) / stride) + 1, or with causal floor((time - 1) / stride) + 1',
    formula:
      'y[t, f] = b[f] + sum over u, c of x[stride t + dilation u - padding, c] W[u, c, f]; with causal, padding is dilation (size - 1)',
    paper: 'Waibel et al. 1989, Phoneme Recognition Using Time-Delay Neural Networks',
    example: {
      input: [100, 4],
      output: [3],
      layers: [
        { type: 'conv1d', filters: 16, size: 5, padding: 2 },
        { type: 'relu' },
        { type: 'lstm', units: 16 },
        { type: 'dense', units: 3 },
      ],
    },
  },
  options,
  plan: (input, own, { followedBy }) => {
    const { filters, size, stride, dilation, groups, bias } = own;
    if (input.length !== 2) {
      throw new LayerError(
        `expected sequences [time, channels], got ${formatShape(input)}: change the input of the model, or add a reshape layer before it`,
      );
    }
    if (own.causal && own.padding > 0)
      throw new LayerError(`padding is ${own.padding}; causal pads by itself: leave padding out`);
    const [time, channels] = input as readonly [number, number];
    requireGroups(groups, channels, filters);
    const [before, behind] = around(own);
    const [, long] = windowedExtents([1, time + before + behind], [1, size], {
      stride: [1, stride],
      dilation: [1, dilation],
    });
    if (long < 1)
      throw new LayerError(
        `a window of ${dilation * (size - 1) + 1} steps does not fit a sequence of ${time}`,
      );
    const taps = size * (channels / groups);
    const weight: ParameterPlan = {
      name: 'weight',
      shape: [size, channels / groups, filters],
      initializer: weightInitializer(taps, (size * filters) / groups, followedBy),
    };
    const offset: ParameterPlan = { name: 'bias', shape: [filters], initializer: { kind: 'zeros' } };
    return { outputShape: [long, filters], parameters: bias ? [weight, offset] : [weight] };
  },
  forward: (x, { options: own, parameters }) => {
    const [weight, bias] = parameters;
    const [samples, , channels] = x.shape as readonly [number, number, number];
    const [before, behind] = around(own);
    // Padding is the same on both sides of an image.
    const padded = before === behind ? x : pad(x, [0, before, 0], [0, behind, 0]);
    const rows = reshape(padded, [samples, 1, padded.shape[1]!, channels]);
    const y = convolve(rows, reshape(weight!, [1, ...weight!.shape]), {
      stride: [1, own.stride],
      padding: [0, before === behind ? before : 0],
      dilation: [1, own.dilation],
      groups: own.groups,
    });
    const sequence = reshape(y, [samples, ...y.shape.slice(2)]);
    return bias ? add(sequence, bias) : sequence;
  },
  onnx: (graph, [x], { options: own, parameters: [weight, bias] }) => {
    const order = channelsFirst(3);
    const inputs = [graph.inOrder(x!, order), graph.parameter(weight!, [2, 1, 0])];
    const name = graph.node('Conv', bias ? [...inputs, graph.parameter(bias)] : inputs, {
      kernel_shape: [own.size],
      strides: [own.stride],
      pads: around(own),
      dilations: [own.dilation],
      group: own.groups,
    });
    return { name, rank: 3, order };
  },
});
