/**
 * Sessions for backends that compute elsewhere than in a session's memory: a run carries the inputs to the compiled graph, and brings
 * the results back. Everything is one stage, for everything comes back at once.
 */
import type { Node } from '../graph.ts';
import type { Model } from '../nn/model.ts';
import { alignUp } from '../plan/arena.ts';
import { placeLeaves, type TypedValues, viewOf } from '../plan/leaves.ts';
import { sizeOf } from '../shape.ts';
import { outputNodes, type Program, type ProgramRequest, traceProgram } from '../training.ts';
import type { Backend, GraphProgram, Session, SessionOptions, Stage } from './backend.ts';
import type { Place, ProgramLayout } from './layout.ts';

/** Nothing is placed at address 0. */
const START = 64;

/** Compiles `requests`, and lays out a memory that their inputs come from and their results go to. */
export async function openCarried(
  compile: Backend['compile'],
  model: Model,
  requests: readonly ProgramRequest[],
  { memory: kind = 'private' }: SessionOptions = {},
): Promise<Session> {
  let end = START;
  const place = (length: number): Place => {
    const offset = end;
    end = alignUp(end + 4 * length);
    return { offset, length };
  };
  const parameters = place(model.parameterCount);
  const gradients = place(model.parameterCount);
  const traced = requests.map((request) => traceProgram(model, request));
  const programs = traced.map((program) => layOutProgram(program, place));
  const memory = kind === 'shared' ? new SharedArrayBuffer(end) : new ArrayBuffer(end);
  const compiled = await Promise.all(traced.map((program) => compile(outputNodes(program))));
  return {
    memory,
    layout: { parameters, gradients, programs },
    stages: compiled.map((program, index) => [
      stageOf(program, traced[index]!, memory, { parameters, gradients, program: programs[index]! }),
    ]),
    destroy: () => {
      for (const program of compiled) program.destroy();
    },
  };
}

interface Places {
  readonly parameters: Place;
  readonly gradients: Place;
  readonly program: ProgramLayout;
}

function layOutProgram(program: Program, place: (length: number) => Place): ProgramLayout {
  const { inputs, outputs, mode, samples, model } = program;
  const of = (node: Node | undefined) => place(node ? sizeOf(node.shape) : 0);
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
    stageReady: [outputs.gradients ? model.parameters.map((_, index) => index) : []],
  };
}

function stageOf(compiled: GraphProgram, program: Program, memory: ArrayBufferLike, places: Places): Stage {
  const inputs = inputsOf(program, memory, places);
  const write = () => {
    for (const [name, values] of inputs) compiled.write(name, values);
  };
  const read = (results: readonly TypedValues[]) => readResults(program.model, memory, places, results);
  return {
    ready: places.program.stageReady[0]!,
    needs: places.parameters.length,
    run: () => {
      write();
      const results = compiled.run();
      return results instanceof Promise ? results.then(read) : read(results);
    },
    ...(compiled.profile && {
      profile: async () => {
        write();
        const { outputs, kernels } = await compiled.profile!();
        read(outputs);
        return kernels;
      },
    }),
  };
}

/** Views of what the graph reads: not every program needs every parameter, nor the key. */
function inputsOf(
  program: Program,
  memory: ArrayBufferLike,
  places: Places,
): ReadonlyMap<string, TypedValues> {
  const { model, parameters, inputs } = program;
  const { byName } = placeLeaves(outputNodes(program), 0);
  const known = new Map(
    model.parameters.map(({ offset }, index) => [parameters[index]!, places.parameters.offset + 4 * offset]),
  );
  for (const part of ['x', 'labels', 'sampleIds', 'key'] as const) {
    const node = inputs[part];
    if (node) known.set(node, places.program[part].offset);
  }
  return new Map([...byName].map(([name, node]) => [name, viewOf(node, memory, known.get(node)!)]));
}

/** Brings a program's results to the session's memory. */
function readResults(
  model: Model,
  memory: ArrayBufferLike,
  { gradients: flat, program }: Places,
  results: readonly TypedValues[],
): void {
  let next = 0;
  for (const part of ['logits', 'lossSum', 'metricSum', 'counted', 'weight'] as const) {
    const { offset, length } = program[part];
    if (length > 0) new Float32Array(memory, offset, length).set(results[next++]!);
  }
  if (next === results.length) return;
  const gradients = new Float32Array(memory, flat.offset, flat.length);
  for (const { offset } of model.parameters) gradients.set(results[next++]!, offset);
}
