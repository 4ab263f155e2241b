/** Calls to a coordinator about registered models: the part of `client.ts` for them. */
import { KasaneError } from '../errors.ts';
import { type ModelRecord, ModelsService, type ModelVersion } from '../gen/kasane/v1/models.ts';
import { requireModelName } from '../job/model-name.ts';
import { MOST_JOBS_PAGE } from '../limits.ts';
import { bytesOf, type Calls, pagesOf, READING_DEADLINE_MS } from './calls.ts';

/** What may be said about a model that is registered. */
export interface Registration {
  /** Aliases that point to it from then on. */
  readonly aliases?: readonly string[];
  readonly description?: string;
}

/** A version, and where it came from. */
export interface RegisteredModel {
  readonly model: ModelVersion;
  readonly record: ModelRecord;
}

export class ModelCalls {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Registers the final weights of a job. @param model NAME:VERSION */
  async register(
    job: string,
    model: string,
    { aliases = [], description = '' }: Registration = {},
  ): Promise<ModelVersion> {
    const { name, reference: version } = requireModelName(model);
    const request = { job, name, version, aliases: [...aliases], description };
    // The weights are read.
    const { model: made } = await this.#calls.one(ModelsService.register, request, READING_DEADLINE_MS);
    return made!;
  }

  /** A version, by NAME:VERSION or NAME:ALIAS, and where it came from. */
  async get(model: string): Promise<RegisteredModel> {
    const { model: found, record } = await this.#calls.one(ModelsService.get, { model });
    if (!found || !record)
      throw new KasaneError('PROTOCOL', `the coordinator sent nothing about model ${model}`);
    return { model: found, record };
  }

  /** All versions, or those of a name, newest first. */
  async list(name = ''): Promise<ModelVersion[]> {
    const models: ModelVersion[] = [];
    const ask = (pageToken: string) =>
      this.#calls.one(ModelsService.list, { name, pageSize: MOST_JOBS_PAGE, pageToken });
    for await (const page of pagesOf(ask)) models.push(...page.models);
    return models;
  }

  /** Makes an alias point to a version. Returns that, and the version that it pointed to before, if it did. */
  async setAlias(
    model: string,
    alias: string,
  ): Promise<{ readonly model: ModelVersion; readonly before: string | undefined }> {
    const { model: now, before } = await this.#calls.one(ModelsService.setAlias, { model, alias });
    return { model: now!, before: before || undefined };
  }

  /** Removes NAME:ALIAS. Returns the version that it pointed to. */
  async removeAlias(model: string): Promise<ModelVersion> {
    const { name, reference: alias } = requireModelName(model);
    const { model: left } = await this.#calls.one(ModelsService.removeAlias, { name, alias });
    return left!;
  }

  /** Deletes NAME:VERSION. Returns the bytes of its weights, or 0 if another version has the same. */
  async delete(model: string): Promise<number> {
    const { bytes } = await this.#calls.one(ModelsService.delete, { model });
    return bytes;
  }

  /** The weights of NAME:VERSION or NAME:ALIAS: a safetensors file. */
  download(model: string): Promise<Buffer> {
    return bytesOf(this.#calls.many(ModelsService.download, { model }));
  }
}
