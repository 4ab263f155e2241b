/** Runs a model by our own arithmetic and as an ONNX file in ONNX Runtime, on the same numbers. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { openWasmSession } from '../../src/backends/wasm/session.ts';
import { exportOnnx } from '../../src/io/onnx/export.ts';
import { importOnnx } from '../../src/io/onnx/import.ts';
import type { Model } from '../../src/nn/model.ts';
import { sizeOf } from '../../src/shape.ts';
import { uniforms } from './cases.ts';

/**
 * Parameters as of a model that was trained for a while: none is 0 or 1, variances are positive, numbers stay of a size. From a
 * xorshift generator: Philox would take most of a large model's test.
 */
export function workedParameters(model: Model): Float32Array {
  const parameters = new Float32Array(model.parameterCount);
  let state = 88_172_645;
  for (const { shape, offset, size } of model.parameters) {
    const fanIn = sizeOf(shape.slice(0, -1));
    const [center, spread] = shape.length > 1 ? [0, Math.sqrt(3 / fanIn)] : [0.5, 0.5];
    for (let i = offset; i < offset + size; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      parameters[i] = center + (spread * state) / 2 ** 31;
    }
  }
  return parameters;
}

export interface OnnxRun {
  readonly ours: Float32Array;
  readonly theirs: Float32Array;
  /** By our own arithmetic, of the model that the file becomes when it is imported. Undefined: it becomes none. */
  readonly imported: Float32Array | undefined;
  /** Of the output, as ONNX Runtime says. */
  readonly shape: readonly number[];
}

/**
 * Both outputs for each number of samples, from one file.
 * @param tokens the input is whole numbers below it; without it, numbers in [-1, 1)
 * @param refused why the file cannot be imported
 */
export async function runOnnx(
  model: Model,
  sampleCounts: readonly number[],
  tokens?: number,
  parameters = workedParameters(model),
  refused?: RegExp,
): Promise<OnnxRun[]> {
  const file = await exportOnnx(model, parameters);
  const session = await InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const parts = partsOf(model);
  if (refused) expect(() => importOnnx(file)).toThrow(refused);
  const back = refused ? undefined : importOnnx(file, { isNumbers: true });
  const runs: OnnxRun[] = [];
  for (const samples of sampleCounts) {
    const request = { mode: 'predict', samples } as const;
    const own = await openWasmSession(model, [request]);
    own.parameters.set(parameters);
    const program = own.program(request);
    const drawn = uniforms(samples * sizeOf(model.sampleShape), 90_002 + samples);
    const x = Float32Array.from(drawn, (u) => (tokens ? Math.floor(u * tokens) : 2 * u - 1));
    program.x.set(x);
    program.run();
    const feeds = session.inputMetadata.map((metadata) => {
      const { offset, shape } = parts.get(metadata.name)!;
      const own = columnsOf(x, samples, offset, sizeOf(shape));
      const full = [samples, ...shape];
      const tensor =
        metadata.isTensor && metadata.type === 'int64'
          ? new Tensor('int64', BigInt64Array.from(own, BigInt), full)
          : new Tensor('float32', own, full);
      return [metadata.name, tensor] as const;
    });
    const [output] = Object.values(await session.run(Object.fromEntries(feeds)));
    runs.push({
      ours: program.logits.slice(),
      theirs: output!.data as Float32Array,
      imported: back && (await predicted(back, x, samples)),
      shape: output!.dims,
    });
  }
  await session.release();
  return runs;
}

/** What a model gives by our own arithmetic. */
export async function predicted(
  { model, parameters }: { readonly model: Model; readonly parameters: Float32Array },
  x: Float32Array,
  samples: number,
): Promise<Float32Array> {
  const request = { mode: 'predict', samples } as const;
  const session = await openWasmSession(model, [request]);
  session.parameters.set(parameters);
  const program = session.program(request);
  program.x.set(x);
  program.run();
  return program.logits.slice();
}

/** Where in a sample each input of the file is. */
function partsOf({ layers, sampleShape }: Model): Map<string, { offset: number; shape: readonly number[] }> {
  const named = layers.flatMap(({ name, part, outputShape }) =>
    part ? [[name, { offset: part.offset, shape: outputShape }] as const] : [],
  );
  return new Map(named.length > 0 ? named : [['input', { offset: 0, shape: sampleShape }]]);
}

function columnsOf(x: Float32Array, samples: number, offset: number, size: number): Float32Array {
  const width = x.length / samples;
  return Float32Array.from({ length: samples * size }, (_, i) => {
    return x[Math.floor(i / size) * width + offset + (i % size)]!;
  });
}

/** Largest difference of the others from ours, in parts of the largest number where that is above 1. */
export const disagreement = ({ ours, theirs, imported }: OnnxRun): number =>
  Math.max(difference(ours, theirs), imported ? difference(ours, imported) : 0);

export function difference(ours: Float32Array, theirs: Float32Array): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  const scale = ours.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i]!) / scale), 0);
}

/** The fields of a protobuf message, in order: contents as bytes, whatever else as nothing. */
function* fieldsOf(message: Uint8Array): Generator<readonly [field: number, content: Uint8Array]> {
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    const length = wire === 2 ? varint() : wire === 5 ? 4 : wire === 1 ? 8 : 0;
    if (wire === 0) varint();
    yield [Math.floor(tag / 8), message.subarray(at, at + length)];
    at += length;
  }
}

const contents = (message: Uint8Array, field: number): Uint8Array[] =>
  [...fieldsOf(message)].flatMap(([number, content]) => (number === field ? [content] : []));

export interface ExportedGraph {
  readonly nodes: readonly { readonly inputs: readonly string[]; readonly outputs: readonly string[] }[];
  /** Their names. */
  readonly initializers: readonly string[];
}

/** What is in the file of a model; the numbers are those of onnx.proto. */
export async function exported(model: Model): Promise<ExportedGraph> {
  const texts = (message: Uint8Array, field: number) =>
    contents(message, field).map((bytes) => new TextDecoder().decode(bytes));
  const [graph] = contents(await exportOnnx(model, workedParameters(model)), 7);
  return {
    nodes: contents(graph!, 1).map((node) => ({ inputs: texts(node, 1), outputs: texts(node, 2) })),
    initializers: contents(graph!, 5).map((tensor) => texts(tensor, 8)[0]!),
  };
}
