/**
 * A model's programs on WebGPU behind the same memory layout as the wasm backend's sessions: inputs are written to ordinary
 * memory, a run carries them to the device and brings gradients back. Sums are taken in another order than on wasm and the
 * device may fuse operations, so results agree within rounding, not to the bit.
 */
import type { Model } from '../../nn/model.ts';
import { alignUp } from '../../plan/arena.ts';
import type { TypedValues } from '../../plan/leaves.ts';
import { sizeOf } from '../../shape.ts';
import { outputNodes, type Program, type ProgramRequest, traceProgram } from '../../training.ts';
import type { Place, ProgramLayout, SessionLayout } from '../wasm/session.ts';
import { compileGpuProgram, type GpuOptions, type GpuProgram, type KernelTime } from './program.ts';

export interface GpuSession {
  /** What the layout's places are offsets of. */
  readonly memory: SharedArrayBuffer;
  readonly layout: SessionLayout;
  /** Runs the program of that index among the requests. @throws what `GpuProgram.run` does */
  run(index: number): Promise<void>;
  /** Does what `run` does, each kernel by itself, and says how long each took. @throws what `GpuProgram.profile` does */
  profile(index: number): Promise<readonly KernelTime[]>;
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
  const write = (index: number) => writeInputs(model, memory, parameters, programs[index]!, compiled[index]!);
  const read = (index: number, results: readonly TypedValues[]) =>
    readOutputs(model, memory, gradients, programs[index]!, results);
  return {
    memory,
    layout: { parameters, gradients, programs },
    run: async (index) => {
      write(index);
      read(index, await compiled[index]!.run());
    },
    profile: async (index) => {
      write(index);
      const { outputs, kernels } = await compiled[index]!.profile();
      read(index, outputs);
      return kernels;
    },
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
    weight: of(outputs.weight),
    logits: of(outputs.logits),
    // Everything comes back at once.
    stageReady: [outputs.gradients ? model.parameters.map((_, index) => index) : []],
  };
}

/** Carries the parameters and inputs of a program from the session's memory to the device. */
function writeInputs(
  model: Model,
  memory: SharedArrayBuffer,
  flat: Place,
  layout: ProgramLayout,
  program: GpuProgram,
): void {
  const parameters = new Float32Array(memory, flat.offset, flat.length);
  for (const { name, offset, size } of model.parameters) {
    if (program.inputs.has(name)) program.write(name, parameters.subarray(offset, offset + size));
  }
  program.write('x', new Float32Array(memory, layout.x.offset, layout.x.length));
  for (const name of ['labels', 'sampleIds', 'key'] as const) {
    const { offset, length } = layout[name];
    if (program.inputs.has(name)) program.write(name, new Int32Array(memory, offset, length));
  }
}

/** Brings a program's results to the session's memory. */
function readOutputs(
  model: Model,
  memory: SharedArrayBuffer,
  flat: Place,
  layout: ProgramLayout,
  results: readonly TypedValues[],
): void {
  let next = 0;
  for (const part of ['logits', 'lossSum', 'metricSum', 'counted', 'weight'] as const) {
    const { offset, length } = layout[part];
    if (length > 0) new Float32Array(memory, offset, length).set(results[next++]!);
  }
  if (next === results.length) return;
  const gradients = new Float32Array(memory, flat.offset, flat.length);
  for (const { offset } of model.parameters) gradients.set(results[next++]!, offset);
}
