/** An ONNX file as a model to train on, with its weights. */

import { LayerError } from '../../nn/layer.ts';
import { buildModel, type Model } from '../../nn/model.ts';
import { ModelError } from '../../nn/model-error.ts';
import { describeTraces } from '../../nn/traced/describe-traces.ts';
import { unwantedKind } from '../other-files.ts';
import { type OnnxContent, readOnnx } from './reading/file.ts';
import { type ImportChoices, type ImportPlan, planImport } from './reading/plan.ts';
import { finite, traceFile } from './reading/trace.ts';
import { newBudget, OPSETS } from './reading/translate.ts';
import {
  type ExternalData,
  type ImportOption,
  type Known,
  numbersOf,
  UnsupportedError,
} from './reading/values.ts';
import { OnnxFileError } from './reading/wire.ts';

/**
 * Numbers of samples that a graph is translated for. The first axis of a value is taken for the samples where it has as many elements, so
 * these are numbers that axes hardly have; where one does, the others tell. A file for one sample computes no shapes with them, so there
 * they may be large.
 */
const COUNTS = { open: [23, 29, 31], single: [1009, 1013, 1019] } as const;

/** A file that is damaged, or no ONNX file (`isDamaged`), or has what no model here can have. */
export class OnnxImportError extends Error {
  override readonly name = 'OnnxImportError';
  readonly isDamaged: boolean;
  /** The option of `importOnnx` that settles it, if one does. */
  readonly option: ImportOption | undefined;
  /** The message without its end, which names that option: for programs whose own options have other names. */
  readonly what: string;

  constructor(what: string, isDamaged: boolean, { option, ...options }: ErrorOptions & Asked = {}) {
    super(option === undefined ? what : `${what} with the option ${option}`, options);
    this.isDamaged = isDamaged;
    this.option = option;
    this.what = what;
  }
}

interface Asked {
  readonly option?: ImportOption | undefined;
}

export interface OnnxImportOptions extends ImportChoices {
  /** True: an output of one axis is numbers, not scores of classes. Default: as it was trained, if Kasane wrote the file; else false. */
  readonly isNumbers?: boolean;
  /** Reads files beside the model, in which it may have its weights. */
  readonly external?: ExternalData;
}

export interface ImportedModel {
  readonly model: Model;
  /** In the model's flat layout. */
  readonly parameters: Float32Array<ArrayBuffer>;
  /** Of the file, by key. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Version of the standard operators in the file. */
  readonly opset: number;
  /** The program that wrote it, as it calls itself. */
  readonly producer: string;
  /** What was decided that the file does not say, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reads an ONNX file (opset 13 to 21) whose first axis is the batch. Images [channels, rows, columns] become [rows, columns, channels], in
 * inputs and output, unless `keepsOrder` is set.
 * @throws OnnxImportError with the operation and node that cannot be expressed, or what is damaged
 */
export function importOnnx(bytes: Uint8Array, options: OnnxImportOptions = {}): ImportedModel {
  try {
    requireWanted(bytes);
    const content = readOnnx(bytes);
    checkOpset(content);
    const plan = planImport(content, options);
    const initializers = initializersOf(content, plan, options.external);
    const budget = newBudget();
    const asClasses = !(options.isNumbers ?? trainedForNumbers(content.metadata));
    const counts = plan.isSingle ? COUNTS.single : COUNTS.open;
    const traces = counts.map((samples) =>
      traceFile(content, plan, initializers, samples, budget, asClasses),
    );
    const model = buildModel(
      describeTraces(
        traces.map(({ traced }) => traced),
        counts,
      ),
    );
    const parameters = new Float32Array(model.parameterCount);
    const { numbers } = traces.at(-1)!;
    const bounded: string[] = [];
    for (const { name, offset } of model.parameters) {
      const own = numbers.get(name)!.numbers;
      for (let i = 0; i < own.length; i++) parameters[offset + i] = finite(own[i]!);
      if (own.some((each) => finite(each) !== each)) bounded.push(name);
    }
    const { metadata, opset, producer } = content;
    const notes = [...notesOf(plan, model), ...boundedNote(bounded)];
    return { model, parameters, metadata, opset, producer, notes };
  } catch (cause) {
    if (cause instanceof OnnxFileError) throw new OnnxImportError(cause.message, true, { cause });
    if (cause instanceof UnsupportedError)
      throw new OnnxImportError(cause.message, false, { cause, option: cause.option });
    if (cause instanceof ModelError || cause instanceof LayerError)
      throw new OnnxImportError(cause.message, false, { cause });
    throw cause;
  }
}

/** Whether a file that Kasane wrote says that its outputs are no classes. */
function trainedForNumbers(metadata: ReadonlyMap<string, string>): boolean {
  try {
    const { type } = JSON.parse(metadata.get('kasane.objective') ?? '{}') as { type?: unknown };
    return type === 'regression' || type === 'binary' || type === 'own';
  } catch {
    return false;
  }
}

function requireWanted(bytes: Uint8Array): void {
  const kind = unwantedKind(bytes);
  if (kind !== undefined) throw new OnnxFileError(`it is not an ONNX file, but ${kind}`);
}

function checkOpset({ opset }: OnnxContent): void {
  const { least, most } = OPSETS;
  if (opset >= least && opset <= most) return;
  throw new UnsupportedError(
    opset === 0
      ? 'the file does not say which version of the standard operators it uses'
      : `the file uses opset ${opset}; ${least} to ${most} are supported: export it again with opset_version=17, or convert it with onnx.version_converter`,
  );
}

/** The numbers of those that are needed. */
function initializersOf(
  { initializers }: OnnxContent,
  { uses }: ImportPlan,
  external: ExternalData | undefined,
): Map<string, Known> {
  const needed = [...initializers].filter(([name]) => uses.has(name));
  return new Map(
    needed.map(([name, record]) => [
      name,
      { ...numbersOf(record, 'initializer', external), initializer: name },
    ]),
  );
}

function notesOf({ inputs, unused, nodes }: ImportPlan, model: Model): string[] {
  const images = inputs.filter(({ isImage }) => isImage).map(({ port }) => port);
  const last = nodes.at(-1)?.node;
  const isProbability = last !== undefined && ['Softmax', 'LogSoftmax', 'Sigmoid'].includes(last.op);
  return [
    ...(images.length > 0
      ? [
          `the samples of ${images.join(', ')} are [rows, columns, channels] here, but channels first in the file`,
        ]
      : []),
    ...(unused.length > 0
      ? [`the output does not depend on ${unused.join(', ')}, so the model leaves it out`]
      : []),
    ...(model.description.classes !== undefined
      ? [`the ${model.description.classes} outputs are taken as class scores`]
      : []),
    ...(isProbability && last.inputs[0]
      ? [
          `the model ends in ${last.op}, but objectives expect the scores before it: to train it further, import the output ${JSON.stringify(last.inputs[0])} instead`,
        ]
      : []),
  ];
}

/** Of parameters with numbers that no weight can be. */
const boundedNote = (names: readonly string[]): string[] =>
  names.length === 0
    ? []
    : [
        `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}: infinite numbers, and those too large for float32, are the largest of float32 here (3.4e38)`,
      ];
