/** `kasane export`: a trained model as a file for other programs. */
import { createHash } from 'node:crypto';
import { basename, dirname, extname, resolve } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { writeWholeFile } from '@kasane/data/internal/files/whole-file';
import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { modelName } from '@kasane/protocol/internal/job/model-name';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { modelMetadata } from '@kasane/tensor/io/model-file';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { unwritable } from '../../files/output-file.ts';
import { requireReplaceable } from '../../files/replaced-file.ts';
import { loadTrained, type Trained } from '../../model/trained.ts';
import { out } from '../../output/say.ts';
import type { ExportFormat } from '../../program/options.ts';

export interface ExportOptions extends ClientOptions {
  /** Default: what the output's name ends with, else onnx. */
  readonly format?: ExportFormat;
  readonly output?: string;
  readonly json?: boolean;
}

export async function exportModel(source: string, options: ExportOptions): Promise<void> {
  const format = options.format ?? formatOf(options.output);
  const trained = await loadTrained(source, options);
  const isName = modelName(source) && kindOfPath(source) === 'nothing';
  const stem = isName
    ? source.replace(':', '-')
    : basename(source, extname(source) === '.safetensors' ? '.safetensors' : '');
  const file = resolve(options.output ?? `${stem}.${format}`);
  requireReplaceable(file, format === 'onnx' ? 'onnx' : 'weights', '--output');
  const bytes = format === 'onnx' ? await onnxOf(trained) : trained.bytes;
  await write(file, bytes);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const { model } = trained;
  const record = {
    file,
    format,
    bytes: bytes.length,
    digest,
    input: model.sampleShape,
    output: model.outputShape,
  };
  out.write(
    options.json
      ? `${JSON.stringify(record)}\n`
      : `Wrote    ${file} (${bytes.length.toLocaleString('en')} bytes)\nSHA-256  ${digest}\n`,
  );
}

function formatOf(output: string | undefined): ExportFormat {
  const extension = output === undefined ? '.onnx' : extname(output);
  if (extension === '.onnx' || extension === '.safetensors') return extension.slice(1) as ExportFormat;
  throw new KasaneError(
    'USAGE',
    `--output ${output}: the format is unknown; use the extension .onnx or .safetensors, or set --format`,
  );
}

function onnxOf({ model, parameters, about, preparation }: Trained): Promise<Uint8Array> {
  const { format: _, ...metadata } = modelMetadata(model, about);
  const preprocessing = describe(preparation);
  return exportOnnx(model, parameters, {
    metadata: { ...metadata, ...(preparation.classes && { classes: JSON.stringify(preparation.classes) }) },
    ...(about.job !== undefined && { description: `${about.job}, trained by Kasane` }),
    ...(preprocessing !== undefined && { preprocessing }),
  });
}

/** How raw input becomes the file's input, for who reads the file. */
function describe({ mean, std }: Preparation): string | undefined {
  if (mean === undefined || std === undefined) return undefined;
  return `(byte / 255 - mean) / std, mean ${JSON.stringify(mean)}, std ${JSON.stringify(std)}`;
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  try {
    makeFolders(dirname(path));
    await writeWholeFile(path, bytes);
  } catch (cause) {
    throw unwritable(`--output ${path}`, cause);
  }
}
