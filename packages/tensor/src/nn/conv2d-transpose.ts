/** Transposed convolution layer, W stored as [height, width, filters, channels]: that of a convolution whose input is this one's output. */
import { channelsFirst } from '../onnx/graph.ts';
import { add } from '../ops/pointwise.ts';
import { convTranspose2d, transposedExtents } from './convolution.ts';
import { imageOf } from './image.ts';
import { weightInitializer } from './initializers.ts';
import { defineLayer, LayerError, type OptionValues, type ParameterPlan, pairOf } from './layer.ts';
import { bias, filters, noneOrMore, strideOf, windowSize } from './window-options.ts';

const options = {
  filters,
  size: windowSize,
  stride: strideOf(
    'pair',
    'Distance in the output from one window to the next: how many times larger the image gets.',
  ),
  padding: noneOrMore('pair', 'Rows cut off above and below, columns left and right; less than the size.'),
  outputPadding: noneOrMore(
    'pair',
    'Further rows below and columns at the right; less than the stride. With stride 2, size 3 and padding 1, 1 makes an image twice as large.',
  ),
  bias,
} as const;

const geometry = (own: OptionValues<typeof options>) => ({
  stride: pairOf(own.stride),
  padding: pairOf(own.padding),
  outputPadding: pairOf(own.outputPadding),
});

export const conv2dTranspose = defineLayer({
  type: 'conv2dTranspose',
  summary: 'Transposed convolution: makes images [rows, columns, channels] larger.',
  about: {
    explains:
      'The opposite of a conv2d with a stride: each pixel adds a learned pattern, times its value, to the output, so an image gets larger. Decoders and networks that label every pixel end in such layers. A size that is a multiple of the stride, such as 4 or 2 at stride 2, avoids checkerboard patterns; upsample followed by conv2d does, too.',
    takes: '[rows, columns, channels]',
    gives:
      '[rows out, columns out, filters], where rows out = stride (rows - 1) + size - 2 padding + outputPadding',
    formula:
      'y[stride i + u - padding, stride j + v - padding, f] = b[f] + the sum of x[i, j, c] W[u, v, f, c] over all i, j, u, v, c that lead there',
    paper: 'Zeiler et al. 2010, Deconvolutional Networks',
    example: {
      input: [7, 7, 16],
      output: [14, 14, 1],
      layers: [{ type: 'conv2dTranspose', filters: 1, size: 4, stride: 2, padding: 1 }],
    },
  },
  options,
  plan: (input, own, { followedBy }) => {
    const { filters, bias } = own;
    const [rows, columns, channels] = imageOf(input);
    const [height, width] = pairOf(own.size);
    const { stride, padding, outputPadding } = geometry(own);
    if (padding[0] >= height || padding[1] >= width)
      throw new LayerError(
        `padding is ${padding.join(' x ')}; expected less than the size, ${height} x ${width}`,
      );
    if (outputPadding[0] >= stride[0] || outputPadding[1] >= stride[1]) {
      throw new LayerError(
        `outputPadding is ${outputPadding.join(' x ')}; expected less than the stride, ${stride.join(' x ')}`,
      );
    }
    const [tall, wide] = transposedExtents([rows, columns], [height, width], geometry(own));
    if (tall < 1 || wide < 1) {
      throw new LayerError(
        `padding ${padding.join(' x ')} leaves nothing of what an image of ${rows} x ${columns} becomes: use less`,
      );
    }
    // Of the window's places these meet in one pixel.
    const taps = Math.ceil(height / stride[0]) * Math.ceil(width / stride[1]) * channels;
    const weight: ParameterPlan = {
      name: 'weight',
      shape: [height, width, filters, channels],
      initializer: weightInitializer(taps, height * width * filters, followedBy),
    };
    const offset: ParameterPlan = { name: 'bias', shape: [filters], initializer: { kind: 'zeros' } };
    return { outputShape: [tall, wide, filters], parameters: bias ? [weight, offset] : [weight] };
  },
  forward: (x, { options: own, parameters: [weight, bias] }) => {
    const y = convTranspose2d(x, weight!, geometry(own));
    return bias ? add(y, bias) : y;
  },
  onnx: (graph, [x], { options: own, parameters: [weight, bias] }) => {
    const order = channelsFirst(4);
    const { stride, padding, outputPadding } = geometry(own);
    const inputs = [graph.inOrder(x!, order), graph.parameter(weight!, [3, 2, 0, 1])];
    const name = graph.node('ConvTranspose', bias ? [...inputs, graph.parameter(bias)] : inputs, {
      kernel_shape: pairOf(own.size),
      strides: stride,
      pads: [...padding, ...padding],
      output_padding: outputPadding,
    });
    return { name, rank: 4, order };
  },
});
