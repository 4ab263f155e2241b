/**
 * A model's programs on WebGPU behind the same memory layout as the wasm backend's sessions: inputs are written to ordinary
 * memory, a run carries them to the device and brings gradients back. Sums are taken in another order than on wasm and the
 * device may fuse operations, so results agree within rounding, not to the bit.
 */
import type { Model } from '../../nn/model.ts';
import { alignUp } from '../../plan/arena.ts';
import { sizeOf } from '../../shape.ts';
import { outputNodes, type Program, type ProgramRequest, traceProgram } from '../../training.ts';
import type { Place, ProgramLayout, SessionLayout } from '../wasm/session.ts';
import { compileGpuProgram, type GpuOptions, type GpuProgram } from './program.ts';

export interface GpuSession {
  /** What the layout's places are offsets of. */
  readonly memory: SharedArrayBuffer;
  readonly layout: SessionLayout;
  /** Runs the program of that index among the requests. @throws what `GpuProgram.run` does */
  run(index: number): Promise<void>;
  destroy(): void;
}

/** Compiles `requests` for a device. @throws RangeError when a program does not fit it, or it lacks what the options need */
export async function openGpuSession(
  device: GPUDevice,
  model: Model,
  requests: readonly ProgramRequest[],
  options: GpuOptions = {},
): Promise<GpuSession> {
  let end = 64;
  const place = (length: number): Place => {
    const offset = end;
    end = alignUp(end + 4 * length);
    return { offset, length };
  };
  const parameters = place(model.parameterCount);
  const gradients = place(model.parameterCount);
  const traced = requests.map((request) => traceProgram(model, request));
  const programs = traced.map((program) => layOutProgram(program, place));
  const memory = new SharedArrayBuffer(end);
  const compiled = await Promise.all(
    traced.map((program) => compileGpuProgram(device, outputNodes(program), options)),
  );
  return {
    memory,
    layout: { parameters, gradients, programs },
    run: (index) => runProgram(model, memory, { parameters, gradients }, programs[index]!, compiled[index]!),
    destroy: () => {
      for (const program of compiled) program.destroy();
    },
  };
}

function layOutProgram(program: Program, place: (length: number) => Place): ProgramLayout {
  const { inputs, outputs, mode, samples, model } = program;
  const of = (node: { readonly shape: readonly number[] } | undefined) =>
    place(node ? sizeOf(node.shape) : 0);
  return {
    mode,
    samples,
    x: of(inputs.x),
    labels: of(inputs.labels),
    target: inputs.labels?.dtype ?? 'i32',
    sampleIds: of(inputs.sampleIds),
    key: of(inputs.key),
    lossSum: of(outputs.lossSum),
    metricSum: of(outputs.metricSum),
    counted: of(outputs.counted),
    logits: of(outputs.logits),
    // Everything comes back at once.
    stageReady: [outputs.gradients ? model.parameters.map((_, index) => index) : []],
  };
}

async function runProgram(
  model: Model,
  memory: SharedArrayBuffer,
  flat: { readonly parameters: Place; readonly gradients: Place },
  layout: ProgramLayout,
  program: GpuProgram,
): Promise<void> {
  const view = ({ offset, length }: Place) => new Float32Array(memory, offset, length);
  const words = ({ offset, length }: Place) => new Int32Array(memory, offset, length);
  const parameters = view(flat.parameters);
  for (const { name, offset, size } of model.parameters) {
    if (program.inputs.has(name)) program.write(name, parameters.subarray(offset, offset + size));
  }
  program.write('x', view(layout.x));
  for (const name of ['labels', 'sampleIds', 'key'] as const) {
    if (program.inputs.has(name)) program.write(name, words(layout[name]));
  }
  const results = await program.run();
  let next = 0;
  for (const part of ['logits', 'lossSum', 'metricSum', 'counted'] as const) {
    if (layout[part].length > 0) view(layout[part]).set(results[next++]!);
  }
  if (next === results.length) return;
  const gradients = view(flat.gradients);
  for (const { offset } of model.parameters) gradients.set(results[next++]!, offset);
}
