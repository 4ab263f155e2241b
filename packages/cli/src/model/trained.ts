/** Where trained models come from: a file, or a coordinator, by a job's id or the name of a registered model. */
import type { Preparation } from '@kasane/data/dataset';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { modelName } from '@kasane/protocol/internal/job/model-name';
import { checkPreparation } from '@kasane/protocol/internal/job/preparation';
import type { JobSpec } from '@kasane/protocol/job';
import type { DataSpec } from '@kasane/protocol/job-data';
import { FileError, kindOfPath, readRegular } from '@kasane/tensor/internal/node/regular-file';
import { notFinite } from '@kasane/tensor/io/adopt';
import { type AboutModel, decodeModelFile } from '@kasane/tensor/io/model-file';
import { MAX_PARAMETERS, type Model } from '@kasane/tensor/nn/model';

/** No file that training wrote is larger: its numbers and their description. Larger ones, of others, would be read for minutes. */
const MOST_BYTES = 4 * MAX_PARAMETERS + 2 ** 24;

export interface Trained {
  readonly model: Model;
  readonly parameters: Float32Array;
  readonly about: AboutModel;
  readonly preparation: Preparation;
  /** The file itself. */
  readonly bytes: Uint8Array;
  /** Of a job or a registered model: its data section, whose places are those of the coordinator's machine. */
  readonly data?: DataSpec;
}

/**
 * @param source path of a .safetensors file, a job's id, or NAME:VERSION or NAME:ALIAS of a registered model
 * @throws KasaneError FILE_DAMAGED, or what the coordinator says
 */
export async function loadTrained(source: string, options: ClientOptions): Promise<Trained> {
  const { bytes, data } = await fetchTrained(source, options);
  try {
    const file = decodeModelFile(bytes);
    const broken = notFinite(file.model, file.parameters);
    if (broken !== undefined) throw new Error(`${broken}: training has diverged. Use an earlier checkpoint`);
    const preparation = checkPreparation((file.about.preparation ?? {}) as Preparation);
    return { ...file, preparation, bytes, ...(data && { data }) };
  } catch (cause) {
    throw new KasaneError('FILE_DAMAGED', `${source}: ${messageOf(cause)}`, { cause });
  }
}

async function readFileOf(path: string): Promise<Uint8Array> {
  try {
    return await readRegular(path, MOST_BYTES);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new KasaneError(
      'FILE_DAMAGED',
      `${cause.message} (expected a .safetensors file that training wrote, a job or a registered model)`,
      {
        cause,
      },
    );
  }
}

async function fetchTrained(
  source: string,
  options: ClientOptions,
): Promise<Pick<Trained, 'bytes' | 'data'>> {
  if (kindOfPath(source) !== 'nothing') return { bytes: await readFileOf(source) };
  if (/[/\\]|\.safetensors$/.test(source)) {
    throw new KasaneError(
      'NO_INPUT',
      `${source}: file not found. Give a .safetensors file that training wrote (--out), a job ID (\`kasane jobs\` lists them), or a registered model (\`kasane model list\`)`,
    );
  }
  const client = new CoordinatorClient(options);
  try {
    if (modelName(source)) {
      const { model, record } = await client.models.get(source);
      // An alias may move between the two.
      const bytes = await client.models.download(`${model.name}:${model.version}`);
      return { bytes, data: (JSON.parse(record.job!.spec) as JobSpec).data };
    }
    const bytes = await client.model(source);
    return { bytes, data: (JSON.parse(await client.spec(source)) as JobSpec).data };
  } catch (error) {
    if (
      !(error instanceof KasaneError) ||
      !['JOB_NOT_FOUND', 'MODEL_NOT_FOUND', 'UNREACHABLE'].includes(error.code)
    )
      throw error;
    throw new KasaneError(error.code, `${source}: file not found, and ${error.message}`, {
      cause: error,
    });
  } finally {
    client.close();
  }
}
