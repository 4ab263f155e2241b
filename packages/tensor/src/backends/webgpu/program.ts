/** Graphs on WebGPU: one buffer holds every tensor, a run is one submission, and only what is asked for is read back. */
import type { DType, Node } from '../../graph.ts';
import { FAULT_BYTES, faultOf } from '../../ops/fault.ts';
import { leafFor, placeLeaves, type TypedValues, viewOf } from '../../plan/leaves.ts';
import { makePlan } from '../../plan/plan.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import { DeviceLostError, type GraphProgram, type Profile } from '../backend.ts';
import { placeOnDevice, type Storage } from './storage.ts';
import { PassTimer } from './timer.ts';
import { dispatchesOf } from './wgsl-kernels.ts';
import { type Dispatch, FAULT_WORD, THREADS } from './wgsl-module.ts';

/** A graph on a device, where its memory stays; an output is a copy. */
export interface GpuProgram extends GraphProgram {
  /** Inputs and parameters by name. */
  readonly inputs: ReadonlyMap<string, { readonly shape: Shape; readonly dtype: DType }>;
  run(): Promise<TypedValues[]>;
  /**
   * Does what `run` does, each kernel in a pass of its own, and says how long each took.
   * @throws RangeError when the device was opened without timestamp-query, besides what `run` throws
   */
  profile(): Promise<Profile>;
}

export interface GpuOptions {
  /** Default f32. @see Storage */
  readonly storage?: Storage;
}

const START = 64;
/** Bytes of which a multiple lies between one dispatch's addresses and the next: what every device allows. */
const ADDRESSES_STEP = 256;

/** Pipelines by their code: models, and programs of one model, share them. */
const pipelines = new WeakMap<GPUDevice, Map<string, Promise<GPUComputePipeline>>>();

function pipelineOf(device: GPUDevice, layout: GPUPipelineLayout, code: string): Promise<GPUComputePipeline> {
  let known = pipelines.get(device);
  if (!known) {
    known = new Map();
    pipelines.set(device, known);
  }
  let pipeline = known.get(code);
  if (!pipeline) {
    const module = device.createShaderModule({ code });
    pipeline = device.createComputePipelineAsync({ layout, compute: { module, entryPoint: 'main' } });
    known.set(code, pipeline);
  }
  return pipeline;
}

/** Features that programs use where they are there. */
const wanted: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

/** What a device must be asked for so that programs may be as large and as fast as its adapter allows. */
export function deviceDescriptor(adapter: GPUAdapter): GPUDeviceDescriptor {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return {
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  };
}

/** Whether a kernel's workgroup consists of whole subgroups: the exchange of values in `wgsl-reduce.ts` relies on it. */
function exchangesInSubgroups({ features, adapterInfo }: GPUDevice): boolean {
  const largest = adapterInfo?.subgroupMaxSize ?? Number.POSITIVE_INFINITY;
  return features.has('subgroups') && largest <= THREADS;
}

/**
 * Compiles what `outputs` need.
 * @throws RangeError when the program does not fit the device, the device lacks what the storage needs, or two leaves have one
 *   name
 */
export async function compileGpuProgram(
  device: GPUDevice,
  outputs: readonly Node[],
  { storage = 'f32' }: GpuOptions = {},
): Promise<GpuProgram> {
  if (storage === 'f16' && !device.features.has('shader-f16')) {
    throw new RangeError('storage f16 requires a device with shader-f16, which this one does not support');
  }
  const { byName, places: leaves, end: next } = placeLeaves(outputs, START);
  const plan = makePlan(outputs);
  const { place, workspace, words, halves } = placeOnDevice(plan, leaves, next, storage);
  const most = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  if (Math.max(words, halves) > most) {
    const mebibytes = (n: number) => (n / 2 ** 20).toFixed(0);
    throw new RangeError(
      `the program needs ${mebibytes(Math.max(words, halves))} MiB; this device binds at most ${mebibytes(most)}: use fewer samples at a time`,
    );
  }
  const target = {
    subgroups: exchangesInSubgroups(device),
    halves: storage === 'f16' ? ('f16' as const) : ('rounded' as const),
  };
  const dispatches = plan.steps.flatMap((step) =>
    dispatchesOf(step, place, workspace(step.output), target).map((dispatch) => ({
      ...dispatch,
      node: step.output,
    })),
  );
  const results = outputs.map((node, index) => ({
    node,
    offset: 4 * place(plan.outputs[index]!).start,
    bytes: 4 * sizeOf(node.shape),
  }));
  return openOnDevice(device, byName, leaves, { words, halves }, dispatches, results);
}

interface Result {
  readonly node: Node;
  readonly offset: number;
  readonly bytes: number;
}

async function openOnDevice(
  device: GPUDevice,
  named: ReadonlyMap<string, Node>,
  places: ReadonlyMap<Node, number>,
  bytes: { readonly words: number; readonly halves: number },
  dispatches: readonly (Dispatch & { readonly node: Node })[],
  results: readonly Result[],
): Promise<GpuProgram> {
  let lost: DeviceLostError | undefined;
  void device.lost.then(({ message }) => {
    lost = new DeviceLostError(`the WebGPU device was lost${message ? `: ${message}` : ''}`);
  });
  const bindings = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: GPU_COMPUTE, buffer: { type: 'storage' } },
      { binding: 1, visibility: GPU_COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      { binding: 2, visibility: GPU_COMPUTE, buffer: { type: 'storage' } },
    ],
  });
  const layout = device.createPipelineLayout({ bindGroupLayouts: [bindings] });
  const compiled = await Promise.all(dispatches.map(({ code }) => pipelineOf(device, layout, code)));
  const memory = device.createBuffer({ size: bytes.words, usage: STORAGE | COPY_SOURCE | COPY_TARGET });
  const halves = device.createBuffer({ size: bytes.halves, usage: STORAGE });
  const most = dispatches.reduce((most, dispatch) => Math.max(most, dispatch.addresses.length), 1);
  const step = ADDRESSES_STEP * Math.ceil((4 * most) / ADDRESSES_STEP);
  const words = new Uint32Array((Math.max(1, dispatches.length) * step) / 4);
  for (const [index, dispatch] of dispatches.entries()) words.set(dispatch.addresses, (index * step) / 4);
  const addresses = device.createBuffer({ size: words.byteLength, usage: UNIFORM | COPY_TARGET });
  device.queue.writeBuffer(addresses, 0, words);
  const group = device.createBindGroup({
    layout: bindings,
    entries: [
      { binding: 0, resource: { buffer: memory } },
      { binding: 1, resource: { buffer: addresses, size: step } },
      { binding: 2, resource: { buffer: halves } },
    ],
  });
  // The fault's words come first, then every result.
  const starts: number[] = [];
  let total = FAULT_BYTES;
  for (const result of results) {
    starts.push(total);
    total += result.bytes;
  }
  const readback = device.createBuffer({ size: total, usage: MAP_READ | COPY_TARGET });

  let timer: PassTimer | undefined;

  const compute = async (times?: PassTimer): Promise<TypedValues[]> => {
    if (lost) throw lost;
    const encoder = device.createCommandEncoder();
    encoder.clearBuffer(memory, 4 * FAULT_WORD, FAULT_BYTES);
    const pass = times ? undefined : encoder.beginComputePass();
    for (const [index, { workgroups }] of dispatches.entries()) {
      const own = pass ?? encoder.beginComputePass(times!.around(index));
      own.setPipeline(compiled[index]!);
      own.setBindGroup(0, group, [index * step]);
      own.dispatchWorkgroups(...workgroups);
      if (times) own.end();
    }
    pass?.end();
    times?.resolve(encoder);
    encoder.copyBufferToBuffer(memory, 4 * FAULT_WORD, readback, 0, FAULT_BYTES);
    for (const [index, result] of results.entries()) {
      if (result.bytes > 0)
        encoder.copyBufferToBuffer(memory, result.offset, readback, starts[index]!, result.bytes);
    }
    device.queue.submit([encoder.finish()]);
    try {
      await readback.mapAsync(MODE_READ);
    } catch (error) {
      // Why it failed is known a moment later.
      await Promise.resolve();
      throw lost ?? new DeviceLostError(`reading from the WebGPU device failed: ${(error as Error).message}`);
    }
    const copy = readback.getMappedRange().slice(0);
    readback.unmap();
    const fault = faultOf(new Int32Array(copy, 0, FAULT_BYTES / 4));
    if (fault) throw fault;
    return results.map(({ node }, i) => viewOf(node, copy, starts[i]!));
  };
  return {
    inputs: named,
    write: (name, values) => {
      const node = leafFor(named, name, values);
      device.queue.writeBuffer(memory, places.get(node)!, values as Float32Array<ArrayBuffer>);
    },
    run: () => compute(),
    profile: async () => {
      timer ??= new PassTimer(device, dispatches.length);
      const outputs = await compute(timer);
      const times = await timer.read();
      return {
        outputs,
        kernels: dispatches.map(({ node }, index) => ({
          op: node.op,
          origin: node.origin,
          ...times[index]!,
        })),
      };
    },
    destroy: () => {
      for (const buffer of [memory, halves, addresses, readback]) buffer.destroy();
      timer?.destroy();
    },
  };
}

// The specification's numbers: Node has no globals of these names.
const MAP_READ = 0x1;
const COPY_SOURCE = 0x4;
const COPY_TARGET = 0x8;
const UNIFORM = 0x40;
const STORAGE = 0x80;
const MODE_READ = 0x1;
const GPU_COMPUTE = 0x4;
