/** Registered models: weights of jobs under names that stay, with where they came from. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { KasaneError } from '@kasane/protocol/errors';
import {
  type ModelRecord,
  ModelRecord as ModelRecordMessage,
  type ModelsGetResponse,
  type ModelsListResponse,
  type ModelsRegisterRequest,
  type ModelsSetAliasResponse,
  type ModelVersion,
} from '@kasane/protocol/gen/kasane/v1/models';
import { checkModelPart, requireModelName } from '@kasane/protocol/internal/job/model-name';
import {
  JOBS_PAGE,
  MODEL_ALIASES,
  MODEL_TEXT,
  MOST_JOBS_PAGE,
  REGISTERED_MODELS,
} from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import { written } from '../jobs/patience.ts';
import { startsOf } from '../jobs/starts.ts';
import { readWhole } from '../params/files.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobRecord } from '../store/job-record.ts';
import { keepModel, markModel, settleModel } from '../store/model-files.ts';
import { nameOf } from '../store/model-store.ts';
import { pageSize, placeOfToken, placeToken } from '../store/pages.ts';
import { requireInPlace } from '../store/state-errors.ts';
import type { JobStore } from '../store/store.ts';
import type { DataIdentity } from '../submit/data-identity.ts';
import { sourceOf } from '../submit/source.ts';
import { VERSION } from '../version.ts';

/** Jobs that a model's record lists as having the weights that it started from. */
const PARENT_JOBS = 4;

export interface RegistryOptions {
  readonly store: JobStore;
  readonly manager: Pick<JobManager, 'get' | 'confusion' | 'touched' | 'submissions'>;
  readonly events: Pick<EventRecord, 'add'>;
  readonly stateDirectory: string;
  readonly log: Logger;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #directory: string;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#directory = resolve(options.stateDirectory);
  }

  /**
   * Registers the final weights of a job.
   * @throws KasaneError USAGE, LIMIT, JOB_NOT_FOUND, JOB_STATE without weights, MODEL_EXISTS, FILE_DAMAGED, STATE_UNUSABLE, STATE_IN_USE
   */
  register(request: ModelsRegisterRequest): Promise<ModelVersion> {
    const { name, version, aliases, description } = request;
    checkModelPart('name', name);
    checkModelPart('version', version);
    for (const alias of aliases) checkModelPart('alias', alias);
    if (new Set(aliases).size > MODEL_ALIASES)
      throw new KasaneError(
        'LIMIT',
        `aliases: ${aliases.length} were given; a version can have at most ${MODEL_ALIASES}`,
      );
    if (description.length > MODEL_TEXT)
      throw new KasaneError(
        'LIMIT',
        `description: ${description.length} characters; at most ${MODEL_TEXT} are allowed`,
      );
    return this.#inTurn(() => this.#register(request));
  }

  async #register({
    job,
    name,
    version,
    aliases,
    description,
  }: ModelsRegisterRequest): Promise<ModelVersion> {
    const { store, manager, events, log } = this.#options;
    const shown = manager.get(job);
    const record = store.get(job)!;
    if (!record.model)
      throw new KasaneError('JOB_STATE', `job ${job} has no final weights to register: it has not succeeded`);
    this.#requireFree(name, version, job);
    for (const alias of aliases) this.#requireNoVersion(name, alias, version);
    if (store.models.count >= REGISTERED_MODELS)
      throw new KasaneError(
        'LIMIT',
        `${REGISTERED_MODELS} models are registered, which is the limit: delete some`,
      );
    const { digest } = record;
    const bytes = await this.#read(record.model, digest);
    const model = { name, version, digest, bytes: bytes.length, job, registeredAt: Date.now(), description };
    const origin = ModelRecordMessage.encode({
      ...this.#origin(record),
      // The weights are in another file than the job's.
      job: { ...shown, models: [], model: '', spec: record.spec, waitingFor: undefined },
    }).finish();
    await this.#changing(digest, 'registration', async () => {
      const isThere = await stat(store.models.path(digest)).then(
        ({ size }) => size === bytes.length && store.models.has(digest),
        () => false,
      );
      if (!isThere) await keepModel(this.#directory, digest, record.model, bytes);
      await store.models.add(model, aliases, origin);
    });
    const full = nameOf(model);
    if (store.get(job)) events.add(job, { code: 'registered', args: { model: full } });
    log.info({ job }, `job ${job} registered as ${full}`);
    manager.touched(job);
    return store.models.version(name, version)!;
  }

  /** Where a job's weights came from. */
  #origin(record: JobRecord): Omit<ModelRecord, 'job'> {
    const { store, manager } = this.#options;
    const { init, data, trainedBy, id } = record;
    const confusion = manager.confusion(id);
    const { digest = '', train = 0, test = 0 } = data === '' ? {} : (JSON.parse(data) as DataIdentity);
    return {
      confusion: confusion.epoch > 0 ? confusion : undefined,
      source: sourceOf(record, store),
      data: digest === '' ? undefined : { digest, trainingSamples: train, testSamples: test },
      parentDigest: init,
      parents: [...store.models.versionsOf(init), ...store.jobsOf(init, PARENT_JOBS)],
      trainedBy,
      registeredBy: VERSION,
    };
  }

  /** @throws KasaneError USAGE, MODEL_NOT_FOUND */
  get(model: string): ModelsGetResponse {
    const { models } = this.#options.store;
    const found = models.require(model);
    return { model: found, record: ModelRecordMessage.decode(models.record(found)) };
  }

  /** A page of all versions, or of those of a name, newest first. @throws KasaneError USAGE */
  list(name: string, size: number, token: string): ModelsListResponse {
    if (name !== '') checkModelPart('name', name);
    const most = pageSize(size, JOBS_PAGE, MOST_JOBS_PAGE);
    const { models, last } = this.#options.store.models.list(most, name, placeOfToken(token));
    return { models: [...models], nextPageToken: last ? placeToken(last) : '' };
  }

  /** Makes an alias point to a version. @throws KasaneError USAGE, LIMIT, MODEL_NOT_FOUND, MODEL_EXISTS, STATE_UNUSABLE, STATE_IN_USE */
  setAlias(model: string, alias: string): Promise<ModelsSetAliasResponse> {
    checkModelPart('alias', alias);
    return this.#inTurn(async () => {
      const { store, log } = this.#options;
      const found = store.models.require(model);
      const { name, version, aliases } = found;
      this.#requireNoVersion(name, alias, undefined);
      if (aliases.length >= MODEL_ALIASES && !aliases.includes(alias))
        throw new KasaneError('LIMIT', `${nameOf(found)} has ${MODEL_ALIASES} aliases, which is the limit`);
      const before = store.models.versionOfAlias(name, alias) ?? '';
      await written({ writing: 'alias' }, () => store.models.setAlias(name, alias, version));
      log.info(`model ${name}:${alias} is version ${version}${before ? `; it was ${before}` : ''}`);
      return { model: store.models.version(name, version)!, before };
    });
  }

  /** @throws KasaneError USAGE, MODEL_NOT_FOUND, STATE_UNUSABLE, STATE_IN_USE */
  removeAlias(name: string, alias: string): Promise<ModelVersion> {
    return this.#inTurn(async () => {
      const { store, log } = this.#options;
      const version = store.models.versionOfAlias(name, alias);
      if (version === undefined)
        throw new KasaneError(
          'MODEL_NOT_FOUND',
          `model '${name}' has no alias '${alias}'; list its versions with \`kasane model list ${name}\``,
        );
      await written({ writing: 'alias' }, () => store.models.removeAlias(name, alias));
      log.info(`model ${name}: alias ${alias} removed; it was ${version}`);
      return store.models.version(name, version)!;
    });
  }

  /**
   * Deletes a version. Returns the bytes of its weights, if no other has them.
   * @throws KasaneError USAGE, MODEL_NOT_FOUND, JOB_STATE, STATE_UNUSABLE, STATE_IN_USE
   */
  delete(model: string): Promise<number> {
    return this.#inTurn(async () => {
      const { store, manager, log } = this.#options;
      const found = store.models.require(model);
      const { job, digest, bytes, version } = found;
      const full = nameOf(found);
      if (requireModelName(model).reference !== version)
        throw new KasaneError('USAGE', `'${model}' is an alias of ${full}; name the version to delete`);
      this.#requireUnused(found);
      await this.#changing(digest, 'deletion', () => {
        // Somebody may have begun to start from it meanwhile.
        this.#requireUnused(found);
        return store.models.delete(found);
      });
      log.info(`model ${full} deleted`);
      manager.touched(job);
      return store.models.has(digest) ? 0 : bytes;
    });
  }

  /** The weights of a version. @throws KasaneError USAGE, MODEL_NOT_FOUND, FILE_DAMAGED, STATE_UNUSABLE */
  async weights(model: string): Promise<Uint8Array> {
    const { models } = this.#options.store;
    const { digest } = models.require(model);
    return this.#read(models.path(digest), digest);
  }

  async #read(path: string, digest: string): Promise<Uint8Array> {
    const file = await readWhole(path, digest);
    if (file.bytes) return file.bytes;
    await requireInPlace(this.#options.store.place);
    throw new KasaneError('FILE_DAMAGED', file.why);
  }

  /** Marks the file, makes a change, and leaves the file as the database says by then. */
  async #changing(digest: string, writing: 'registration' | 'deletion', change: () => Promise<void>) {
    const { store } = this.#options;
    try {
      await written({ writing }, async () => {
        await markModel(store.place, this.#directory, digest);
        await change();
      });
    } finally {
      // What the disk refuses now is done at the next start.
      await settleModel(this.#directory, digest, store.models.has(digest)).catch(() => {});
    }
  }

  /** @throws KasaneError MODEL_EXISTS */
  #requireFree(name: string, version: string, job: string): void {
    const { models } = this.#options.store;
    const there = models.version(name, version);
    if (there) {
      const whose = there.job === job ? 'this job' : `job ${there.job}`;
      throw new KasaneError(
        'MODEL_EXISTS',
        `${name}:${version} is registered already, with weights of ${whose}, and a version never changes; choose another version, or delete it first with \`kasane model delete ${name}:${version}\``,
      );
    }
    if (models.versionOfAlias(name, version) !== undefined)
      throw new KasaneError(
        'MODEL_EXISTS',
        `${name}:${version} is an alias; choose another version, or move the alias with \`kasane model alias ${name}:VERSION ${version}\``,
      );
  }

  /** A name means one thing. @param own a version that is about to be made @throws KasaneError MODEL_EXISTS */
  #requireNoVersion(name: string, alias: string, own: string | undefined): void {
    if (alias !== own && !this.#options.store.models.version(name, alias)) return;
    throw new KasaneError('MODEL_EXISTS', `${name}:${alias} is a version; choose another alias`);
  }

  /** @throws KasaneError JOB_STATE */
  #requireUnused(model: ModelVersion): void {
    const full = nameOf(model);
    const refuse = (why: string) => new KasaneError('JOB_STATE', why);
    const [alias] = model.aliases;
    if (alias !== undefined)
      throw refuse(
        `${full} is in use as ${model.name}:${alias}; point the alias to another version (\`kasane model alias ${model.name}:VERSION ${alias}\`) or remove it (\`kasane model alias ${model.name}:${alias} --remove\`)`,
      );
    const { store, manager } = this.#options;
    const start = startsOf(store, manager.submissions).find(({ init }) => init === full);
    if (start) throw refuse(`${start.user} starts from ${full} (\`init\`); delete it once that has ended`);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#last.then(change);
    this.#last = changed.catch(() => {});
    return changed;
  }
}
