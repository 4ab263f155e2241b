/**
 * The wasm backend as its users see it: one memory that holds a model's parameters and gradients and runs its programs.
 * Parameters and gradients have fixed places; the programs' inputs and activations overlay one another.
 */
import type { Node } from '../../graph.ts';
import type { Model } from '../../nn/model.ts';
import { alignUp } from '../../plan/arena.ts';
import { sizeOf } from '../../shape.ts';
import { outputNodes, type ProgramMode, type ProgramRequest, traceProgram } from '../../training.ts';
import type { KernelTime, Session, SessionOptions, Stage } from '../backend.ts';
import { type Place, type ProgramLayout, type ProgramViews, viewsOf } from '../layout.ts';
import { type Code, startCode } from './code.ts';
import { type Compiled, compileGraph } from './compile.ts';
import { alone, BARRIER_BYTES } from './cut.ts';
import { scratchBytes } from './emit-kernels.ts';
import type { KernelName } from './gemm.ts';
import type { Helpers } from './helpers.ts';
import { selectKernel } from './kernels.ts';
import { PAGE, WASM_BYTES } from './memory.ts';

export { WASM_BYTES } from './memory.ts';

export interface WasmSessionOptions extends SessionOptions {
  /** Default: what `selectKernel` chooses for the arithmetic. */
  readonly kernel?: KernelName;
  /** Threads that run programs together with the one that opens the session; the memory is shared then. Default: none. */
  readonly helpers?: Helpers | undefined;
}

/** One that answers at once. */
export interface WasmStage extends Stage {
  /**
   * Takes nothing, returns nothing, allocates nothing.
   * @throws IndexError when an input names a row that a table does not have
   */
  run(): void;
  /** What it computes: operations, those that are fused by the name of the last, and where they come from. */
  readonly kernels: readonly Pick<Node, 'op' | 'origin'>[];
  /** Kernels that are computed together have the time of all of them, unless the session was opened for a profile. */
  profile(): readonly KernelTime[];
}

export interface WasmProgram extends ProgramViews {
  readonly mode: ProgramMode;
  readonly samples: number;
  /** In order of execution. */
  readonly stages: readonly WasmStage[];
  /** All stages. */
  run(): void;
}

export interface WasmSession extends Session {
  /** Flat layout of the model. */
  readonly parameters: Float32Array;
  /** Flat layout of the model; sums over the samples of the last training program that ran. */
  readonly gradients: Float32Array;
  readonly kernel: KernelName;
  readonly stages: readonly (readonly WasmStage[])[];
  /** @throws RangeError for a request that the session was not opened with. */
  program(request: ProgramRequest): WasmProgram;
}

/** Nothing is placed at address 0. */
const START = 64;

/**
 * Compiles `requests` and lays them out in one memory.
 * @throws RangeError when the memory would exceed 4 GiB
 */
export async function openWasmSession(
  model: Model,
  requests: readonly ProgramRequest[],
  options: WasmSessionOptions = {},
): Promise<WasmSession> {
  const { helpers } = options;
  const shared = options.memory === 'shared' || helpers !== undefined;
  const { kernel, parameters, gradients, programs, pages } = layOutSession(model, requests, options);
  if (pages * PAGE > WASM_BYTES) {
    throw new RangeError(
      `the model needs ${((pages * PAGE) / 2 ** 30).toFixed(1)} GiB; a WebAssembly memory has at most 4: use fewer samples at a time`,
    );
  }
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  const opened = await Promise.all(
    programs.map(async ({ compiled, layout }) => {
      const code = await startCode(compiled.encode({ pages, shared }), memory, helpers);
      return openProgram(layout, compiled, code);
    }),
  );
  return {
    memory: memory.buffer,
    kernel,
    layout: { parameters, gradients, programs: programs.map(({ layout }) => layout) },
    parameters: new Float32Array(memory.buffer, parameters.offset, parameters.length),
    gradients: new Float32Array(memory.buffer, gradients.offset, gradients.length),
    stages: opened.map(({ stages }) => stages),
    program: ({ mode, samples }) => {
      const found = opened.find((program) => program.mode === mode && program.samples === samples);
      if (found) return found;
      const there = opened.map((program) => `${program.mode} of ${program.samples}`).join(', ');
      throw new RangeError(`no program to ${mode} ${samples} samples; the session was opened with: ${there}`);
    },
    // The memory goes when nobody knows it any more.
    destroy: () => {
      for (const { close } of opened) close();
    },
  };
}

/** Bytes of the memory that a session for these requests takes, without taking it; it may be more than there can be. */
export const sessionBytes = (
  model: Model,
  requests: readonly ProgramRequest[],
  options: WasmSessionOptions = {},
): number => PAGE * layOutSession(model, requests, options).pages;

function layOutSession(model: Model, requests: readonly ProgramRequest[], options: WasmSessionOptions) {
  const kernel = options.kernel ?? selectKernel(options.math).name;
  const threads = options.helpers?.threads ?? 1;
  const floats = model.parameterCount;
  const parameters = { offset: START + (threads > 1 ? BARRIER_BYTES : 0), length: floats };
  const gradients = { offset: alignUp(parameters.offset + 4 * floats + 64), length: floats };
  const scratch = alignUp(gradients.offset + 4 * floats + 64);
  const start = alignUp(scratch + threads * scratchBytes(kernel));
  const programs = requests.map((request) =>
    layOutProgram(model, request, parameters, gradients, scratch, start, kernel, options),
  );
  const pages = Math.ceil(Math.max(start, ...programs.map(({ compiled }) => compiled.end)) / PAGE);
  return { kernel, parameters, gradients, programs, pages };
}

function layOutProgram(
  model: Model,
  request: ProgramRequest,
  parameters: Place,
  gradients: Place,
  scratch: number,
  start: number,
  kernel: KernelName,
  { profile = false, arriving, helpers }: Pick<WasmSessionOptions, 'profile' | 'arriving' | 'helpers'>,
): { compiled: Compiled; layout: ProgramLayout } {
  const program = traceProgram(model, request);
  let next = start;
  const leaves = new Map(
    program.parameters.map((node, index) => [node, parameters.offset + 4 * model.parameters[index]!.offset]),
  );
  const place = (node: (typeof program.inputs)['x'] | undefined): Place => {
    if (!node) return { offset: next, length: 0 };
    const length = node.shape.reduce((product, extent) => product * extent, 1);
    const offset = next;
    leaves.set(node, offset);
    next = alignUp(next + 4 * length + 64);
    return { offset, length };
  };
  const arrivals = arriving ? arrivalsOf(program.parameters, model, arriving) : new Map<Node, number>();
  const { inputs, outputs } = program;
  const [x, labels, sampleIds, key] = [inputs.x, inputs.labels, inputs.sampleIds, inputs.key].map(place) as [
    Place,
    Place,
    Place,
    Place,
  ];
  const perParameter = outputs.gradients ?? [];
  const all = outputNodes(program);
  const asked = all.slice(0, all.length - perParameter.length);
  const compiled = compileGraph({
    outputs: all,
    leaves,
    targets: new Map(
      perParameter.map((_, index) => [
        asked.length + index,
        gradients.offset + 4 * model.parameters[index]!.offset,
      ]),
    ),
    groups:
      perParameter.length > 0
        ? layerGroups(model).map((group) => group.map((index) => asked.length + index))
        : [],
    arenaStart: next,
    scratch,
    kernel,
    stepwise: profile,
    arrivals,
    sharing: helpers ?? alone,
    barrier: START,
  });
  const placeOf = (index: number, length: number): Place =>
    index < asked.length ? { offset: compiled.offsets[index]!, length } : { offset: next, length: 0 };
  const groups = layerGroups(model);
  return {
    compiled,
    layout: {
      mode: request.mode,
      samples: request.samples,
      x,
      labels,
      target: inputs.labels?.dtype ?? 'i32',
      sampleIds,
      key,
      logits: placeOf(0, request.samples * sizeOf(model.outputShape)),
      lossSum: placeOf(1, 1),
      metricSum: placeOf(2, 1),
      counted: placeOf(3, 1),
      weight: placeOf(4, 1),
      stageReady: compiled.stages.map(({ ready }) =>
        request.mode === 'train' ? ready.flatMap((group) => groups[group]!) : [],
      ),
    },
  };
}

/** How many floats have come when a parameter has, where they come `floats` at a time. */
function arrivalsOf(nodes: readonly Node[], { parameters, parameterCount }: Model, floats: number) {
  return new Map(
    nodes.map((node, index) => {
      const { offset, size } = parameters[index]!;
      return [node, Math.min(parameterCount, Math.ceil((offset + size) / floats) * floats)] as const;
    }),
  );
}

/** Indices of parameters, by layer. */
function layerGroups(model: Model): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, { layer }] of model.parameters.entries()) {
    groups.set(layer, [...(groups.get(layer) ?? []), index]);
  }
  return [...groups.values()];
}

function openProgram(
  layout: ProgramLayout,
  { stages: compiled }: Compiled,
  { memory, stages: code, close }: Code,
): WasmProgram & { readonly close: () => void } {
  const stages = layout.stageReady.map((ready, index): WasmStage => {
    const { needs, steps } = compiled[index]!;
    const run = code[index]!;
    const kernels = steps.map(({ output: { op, origin } }) => ({ op, origin }));
    return { ready, needs, kernels, run, profile: () => timed(run, kernels) };
  });
  return {
    mode: layout.mode,
    samples: layout.samples,
    ...viewsOf(memory, layout),
    stages,
    close,
    run: () => {
      for (let index = 0; index < stages.length; index++) stages[index]!.run();
    },
  };
}

function timed(run: () => void, kernels: WasmStage['kernels']): readonly KernelTime[] {
  const began = performance.now();
  run();
  const duration = 1e6 * (performance.now() - began);
  return kernels.map((kernel) => ({ ...kernel, start: 0, duration }));
}
