/** Where trained models come from: a file, or a coordinator by the job's id. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Preparation } from '@kasane/data/dataset';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { type AboutModel, decodeModelFile } from '@kasane/tensor/io/model-file';
import type { Model } from '@kasane/tensor/nn/model';

export interface Trained {
  readonly model: Model;
  readonly parameters: Float32Array;
  readonly about: AboutModel;
  readonly preparation: Preparation;
  /** The file itself. */
  readonly bytes: Uint8Array;
}

/**
 * @param source path of a .safetensors file, or a job's id
 * @throws KasaneError FILE_DAMAGED, or what the coordinator says
 */
export async function loadTrained(source: string, options: ClientOptions): Promise<Trained> {
  const bytes = await bytesOf(source, options);
  try {
    const file = decodeModelFile(bytes);
    return { ...file, preparation: (file.about.preparation ?? {}) as Preparation, bytes };
  } catch (cause) {
    throw new KasaneError('FILE_DAMAGED', `${source}: ${messageOf(cause)}`, { cause });
  }
}

async function bytesOf(source: string, options: ClientOptions): Promise<Uint8Array> {
  if (existsSync(source)) {
    if (statSync(source).isDirectory()) {
      throw new KasaneError('FILE_DAMAGED', `${source}: a folder; a .safetensors file or a job is expected`);
    }
    return readFileSync(source);
  }
  if (/[/\\]|\.safetensors$/.test(source)) {
    throw new KasaneError('FILE_DAMAGED', `${source}: there is no such file`);
  }
  const client = new CoordinatorClient(options);
  return client.model(source).finally(() => client.close());
}
