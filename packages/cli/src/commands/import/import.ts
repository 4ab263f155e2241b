/** `kasane import`: an ONNX file as a job file and the weights that it starts from. */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { checkPreparation } from '@kasane/protocol/internal/job/preparation';
import { parseJobFile } from '@kasane/protocol/job-file';
import { counted } from '@kasane/tensor/internal/counted';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import {
  FileError,
  kindOfPath,
  readRegular,
  readRegularSync,
} from '@kasane/tensor/internal/node/regular-file';
import { type AboutModel, encodeModelFile } from '@kasane/tensor/io/model-file';
import {
  type ImportedModel,
  importOnnx,
  OnnxImportError,
  type OnnxImportOptions,
} from '@kasane/tensor/io/onnx/import';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import { unwritable } from '../../files/output-file.ts';
import { requireApart, requireReplaceable } from '../../files/replaced-file.ts';
import { writeFile } from '../../files/write-file.ts';
import { out } from '../../output/say.ts';
import { dataSection, nameOf } from '../init/init.ts';
import { shellWord } from '../init/texts.ts';

export interface ImportCommandOptions {
  readonly output?: string;
  readonly result?: string;
  readonly shape?: readonly string[];
  readonly channelsFirst?: boolean;
  readonly classes?: number;
  readonly numbers?: boolean;
  readonly data?: string;
  readonly target?: string;
  readonly set?: readonly string[];
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Protocol Buffers end here; so does a file beside the model in which it has its weights. */
const MOST_BYTES = 2 ** 31 - 1;

export async function importModel(source: string, options: ImportCommandOptions): Promise<void> {
  if (kindOfPath(source) === 'nothing') throw new KasaneError('NO_INPUT', `${source}: file not found`);
  const file = options.output ?? `${parse(source).name}.yaml`;
  const weights = join(dirname(file), `${parse(file).name}.safetensors`);
  requireFree(file, weights, options);
  const imported = await read(source, options);
  const { model, parameters, opset, producer } = imported;
  const notes = [...imported.notes];
  const name = nameOf(file, 'imported', notes);
  const about = aboutOf(imported, name, notes);
  const data =
    options.data === undefined ? undefined : await sectionFor(options.data, imported, options, notes);
  const objective = objectiveOf(model, about, notes);
  const { layers, definitions, ...rest } =
    options.classes === undefined ? model.description : withClasses(model.description, options.classes);
  const job = {
    name,
    model: { ...rest, layers, ...(definitions && { definitions }) },
    init: `./${basename(weights)}`,
    ...(objective && { objective }),
    ...(data && { data }),
    training: { epochs: 10, batch: 32, learningRate: 0.0001 },
  };
  const lines = [
    `From ${basename(source)}${producer === '' ? '' : `, written by ${producer.slice(0, 100)}`} (ONNX, opset ${opset})`,
    ...notes,
    ...(data ? [] : ['before training, add a data section']),
  ];
  const text = [...lines.map((line) => `# ${printableLine(line)}`), ...yaml(job), ''].join('\n');
  // Said before anything is written: a file that does not run would be no help.
  parseJobFile(text, file);
  write(weights, encodeModelFile({ model, parameters, about }));
  write(file, text);
  const record = {
    ...{ file, weights, opset, producer, input: model.sampleShape, output: model.outputShape },
    ...{ layers: model.layers.length, parameters: model.parameterCount, notes },
  };
  out.lines(
    ...(options.json
      ? [JSON.stringify(record)]
      : [
          `Wrote ${file} and ${weights}: ${counted(model.layers.length, 'layer')}, ${model.parameterCount.toLocaleString('en')} parameters`,
          ...notes.map((note) => `Note: ${printableLine(note)}`),
          data
            ? `Train it with: kasane train ${shellWord(file)}`
            : `Predict with: kasane predict ${shellWord(weights)}. To train it, add a data section to ${file}, or import again with --data`,
        ]),
  );
}

/** The model for another number of classes: its last layer has as many units, and does not fit the weights. @throws KasaneError USAGE */
function withClasses(description: ModelDescription, classes: number): ModelDescription {
  const last = description.layers.at(-1)!;
  if (last.type !== 'dense' || description.classes === undefined)
    throw new KasaneError(
      'USAGE',
      `--classes ${classes}: the model does not end in a dense layer with class scores. Cut it off before its head with --result, and add layers to the job file`,
    );
  const layers = [...description.layers.slice(0, -1), { ...last, units: classes }];
  return { ...description, classes, layers };
}

/** @throws KasaneError USAGE where something is there already */
function requireFree(file: string, weights: string, { force }: ImportCommandOptions): void {
  requireApart(file, '--output', weights, 'weights');
  for (const path of [file, weights])
    if (existsSync(path) && !force)
      throw new KasaneError(
        'USAGE',
        `${path} already exists: give another name with --output, or --force to overwrite it`,
      );
  requireReplaceable(weights, 'weights', '--output');
}

async function read(source: string, options: ImportCommandOptions): Promise<ImportedModel> {
  const shapes = shapesOf(options.shape ?? []);
  try {
    const bytes = await readRegular(source, MOST_BYTES);
    return importOnnx(bytes, {
      ...(options.result !== undefined && { output: options.result }),
      shapes,
      keepsOrder: options.channelsFirst === true,
      ...(options.numbers === true && { isNumbers: true }),
      external: besideModel(source),
    });
  } catch (cause) {
    if (cause instanceof OnnxImportError) {
      const { what, option, isDamaged } = cause;
      const advice = option === undefined ? '' : ` with ${flags[option]}`;
      throw new KasaneError(isDamaged ? 'FILE_DAMAGED' : 'DATA_INVALID', `${source}: ${what}${advice}`, {
        cause,
      });
    }
    if (cause instanceof FileError) throw new KasaneError('FILE_DAMAGED', cause.message, { cause });
    throw cause;
  }
}

/** The options of the library that its errors ask for, as this command has them. */
const flags: Readonly<Record<NonNullable<OnnxImportError['option']>, string>> = {
  output: '--result NAME',
  shapes: '--shape, such as --shape 3,224,224, or --shape NAME=128 if there are several inputs',
};

/** `3,224,224`, of the only input, or `ids=128`. */
function shapesOf(given: readonly string[]): NonNullable<OnnxImportOptions['shapes']> {
  const entries = given.map((text) => {
    const found = /^(?:(.*)=)?([1-9]\d{0,8}(?:,[1-9]\d{0,8})*)$/.exec(text);
    if (!found)
      throw new KasaneError(
        'USAGE',
        `--shape ${text}: expected sizes such as 3,224,224, or NAME=128 for an input`,
      );
    return { name: found[1], shape: found[2]!.split(',').map(Number) };
  });
  const unnamed = entries.find(({ name }) => name === undefined);
  if (unnamed === undefined) return Object.fromEntries(entries.map(({ name, shape }) => [name, shape]));
  if (entries.length === 1) return unnamed.shape;
  throw new KasaneError(
    'USAGE',
    `--shape ${unnamed.shape.join(',')}: name the input of each shape, such as NAME=${unnamed.shape.join(',')}`,
  );
}

/** Files in the folder of the model, and in no other: a name there may be a link that leads away. */
function besideModel(source: string) {
  const folder = realpathSync(dirname(resolve(source)));
  const known = new Map<string, Buffer>();
  return (location: string, offset: number, length: number | undefined): Uint8Array => {
    const path = join(folder, location);
    if (kindOfPath(path) !== 'nothing' && dirname(realpathSync(path)) !== folder)
      throw new FileError(
        `${path}: it links to a file outside the folder of the model; put the file itself there`,
      );
    const whole = known.get(location) ?? readRegularSync(path, MOST_BYTES);
    known.set(location, whole);
    return whole.subarray(offset, length === undefined ? undefined : offset + length);
  };
}

/** What the file says about its training, if Kasane wrote it. */
function aboutOf({ metadata }: ImportedModel, job: string, notes: string[]): AboutModel {
  const parts = { preparation: 'kasane.data', objective: 'kasane.objective' } as const;
  const about: Record<string, unknown> = { job };
  for (const [part, key] of Object.entries(parts)) {
    const text = metadata.get(key);
    if (text === undefined) continue;
    try {
      const value: unknown = JSON.parse(text);
      about[part] = part === 'preparation' ? checkPreparation(value as never) : value;
    } catch (cause) {
      notes.push(`${key} of the file cannot be read and is ignored: ${messageOf(cause)}`);
    }
  }
  return about;
}

/** Objectives that take a model without a loss of its own whose outputs are no classes. */
const OBJECTIVES: ReadonlySet<unknown> = new Set(['regression', 'binary', 'next-token', 'masked-token']);

/** A model whose outputs are no classes needs one: that of its training, if the file says so. Undefined: its outputs are classes. */
function objectiveOf(
  { description: { classes } }: ImportedModel['model'],
  { objective }: AboutModel,
  notes: string[],
): object | undefined {
  if (classes !== undefined) return undefined;
  if (OBJECTIVES.has((objective as { type?: unknown } | undefined)?.type)) return objective as object;
  notes.push(
    'its outputs are taken for numbers (objective regression); if they are scores of yes and no, such as masks, write objective: { type: binary }',
  );
  return { type: 'regression' };
}

/** Guessed as `kasane init` does, whose defaults are taken. */
async function sectionFor(
  place: string,
  { model }: ImportedModel,
  { target, set }: ImportCommandOptions,
  notes: string[],
): Promise<object> {
  const [rows] = model.sampleShape;
  const given = { ...(target !== undefined && { target }), ...(set && { set }) };
  const ask = async (_: string, suggestion: string) =>
    model.sampleShape.length === 3 && suggestion === '64' ? String(rows) : suggestion;
  return dataSection(place, given, ask, notes);
}

function write(path: string, content: Uint8Array | string): void {
  try {
    makeFolders(dirname(path));
    writeFile(content, path);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** A job with a line for each layer and each definition, which people read, and no more lines than these. */
function yaml(job: object, indent = '', depth = 0): string[] {
  return Object.entries(job).flatMap(([key, value]: [string, unknown]) => {
    const isNested = typeof value === 'object' && value !== null && !Array.isArray(value) && depth < 2;
    if (isNested) return [`${indent}${key}:`, ...yaml(value as object, `${indent}  `, depth + 1)];
    if (key === 'layers' && Array.isArray(value))
      return [`${indent}${key}:`, ...value.map((layer) => `${indent}  - ${JSON.stringify(layer)}`)];
    return [`${indent}${key}: ${JSON.stringify(value)}`];
  });
}
