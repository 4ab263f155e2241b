/** Larger images without learned weights: each pixel several times, or straight lines between pixels. */
import type { Node } from '../graph.ts';
import { channelsFirst } from '../onnx/graph.ts';
import { constant } from '../ops/leaf.ts';
import { broadcast, reshape } from '../ops/movement.ts';
import { concat, sliceAxis } from '../ops/parts.ts';
import { add, mul } from '../ops/pointwise.ts';
import { imageOf } from './image.ts';
import { defineLayer, pairOf } from './layer.ts';

/** Of [samples, rows, columns, channels] each pixel `scale` times along rows and columns. */
function nearest(x: Node, [tall, wide]: readonly [number, number]): Node {
  const [samples, rows, columns, channels] = x.shape as readonly [number, number, number, number];
  const apart = reshape(x, [samples, rows, 1, columns, 1, channels]);
  const copies = broadcast(apart, [samples, rows, tall, columns, wide, channels]);
  return reshape(copies, [samples, rows * tall, columns * wide, channels]);
}

/**
 * Straight lines between neighbours of one axis. Pixels have an extent: the middle of new pixel p of the `scale` that one becomes lies
 * (p + 0.5) / scale - 0.5 pixels from the middle of the old one. Beyond the first and the last there is the same again.
 */
function linear(x: Node, axis: number, scale: number): Node {
  if (scale === 1) return x;
  const extent = x.shape[axis]!;
  const part = (start: number, size: number) => sliceAxis(x, axis, start, size);
  const shifted = (before: boolean) => {
    if (extent === 1) return x;
    return before
      ? concat([part(0, 1), part(0, extent - 1)], axis)
      : concat([part(1, extent - 1), part(extent - 1, 1)], axis);
  };
  const [previous, next] = [shifted(true), shifted(false)];
  const split = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)];
  const places = Array.from({ length: scale }, (_, place) => {
    const away = (place + 0.5) / scale - 0.5;
    const neighbour = away < 0 ? previous : next;
    const share = Math.abs(away);
    const value = away === 0 ? x : add(mul(x, constant(1 - share)), mul(neighbour, constant(share)));
    return reshape(value, split);
  });
  return reshape(
    concat(places, axis + 1),
    x.shape.map((own, i) => (i === axis ? own * scale : own)),
  );
}

export const upsample = defineLayer({
  type: 'upsample',
  summary: 'Makes images larger by repeating pixels or by straight lines between them.',
  about: {
    explains:
      'Makes an image larger by a whole factor without learning anything. nearest repeats each pixel; bilinear draws straight lines between the middles of neighbors, which is smoother. Followed by a conv2d, it does the work of a conv2dTranspose without checkerboard patterns.',
    takes: '[rows, columns, channels]',
    gives: '[scale rows, scale columns, channels]',
    formula:
      'nearest: y[i, j] = x[floor(i / scale), floor(j / scale)]; bilinear: y[i, j] = x between the pixels around (i + 0.5) / scale - 0.5, (j + 0.5) / scale - 0.5, kept inside the image',
    example: {
      input: [7, 7, 8],
      output: [14, 14, 1],
      layers: [
        { type: 'upsample', method: 'bilinear' },
        { type: 'conv2d', filters: 1, size: 3, padding: 1 },
      ],
    },
  },
  options: {
    scale: {
      kind: 'pair',
      minimum: 1,
      maximum: 256,
      default: 2,
      describe: 'How many times larger rows and columns get.',
    },
    method: {
      kind: 'choice',
      choices: ['nearest', 'bilinear'],
      default: 'nearest',
      describe: 'Repeated pixels, or straight lines between them.',
    },
  },
  plan: (input, { scale }) => {
    const [rows, columns, channels] = imageOf(input);
    const [tall, wide] = pairOf(scale);
    return { outputShape: [rows * tall, columns * wide, channels], parameters: [] };
  },
  forward: (x, { options }) => {
    const scale = pairOf(options.scale);
    if (options.method === 'nearest') return nearest(x, scale);
    return linear(linear(x, 1, scale[0]), 2, scale[1]);
  },
  onnx: (graph, [x], { options }) => {
    const order = channelsFirst(4);
    const scales = graph.constant([4], [1, 1, ...pairOf(options.scale)]);
    const smooth = options.method === 'bilinear';
    // The second input, a region, is left out.
    const name = graph.node('Resize', [graph.inOrder(x!, order), '', scales], {
      mode: smooth ? 'linear' : 'nearest',
      coordinate_transformation_mode: smooth ? 'half_pixel' : 'asymmetric',
      nearest_mode: 'floor',
    });
    return { name, rank: 4, order };
  },
});
