/** Jobs and sweeps that start from registered models: which versions they mean is settled when they are submitted. */
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import { jobOfInit, modelName } from '@kasane/protocol/internal/job/model-name';
import { type ModelStore, nameOf } from '../store/model-store.ts';
import type { JobStore } from '../store/store.ts';

type Models = Pick<JobStore, 'models' | 'get'>;

/**
 * A job whose `init` names the version that an alias points to now: whenever it starts, it starts from the same weights.
 * @throws KasaneError JOB_INVALID when there is no such model
 */
export function pinned<Spec extends { readonly init?: unknown }>(spec: Spec, store: Models): Spec {
  const { init } = spec;
  if (typeof init !== 'string' || !isOfModel(init, store)) return spec;
  return { ...spec, init: pinnedName(init, store.models) };
}

/** The job whose weights `init` names; undefined where it names something else. A registered model may be called job. */
export function jobNamed(init: string, store: Models): string | undefined {
  const id = jobOfInit(init);
  if (id === undefined || store.get(id)) return id;
  const { models } = store;
  return models.version('job', models.versionOfAlias('job', id) ?? id) ? undefined : id;
}

const isOfModel = (init: string, store: Models): boolean =>
  modelName(init) !== undefined && jobNamed(init, store) === undefined;

/** The same for a sweep, and for what it chooses from. @throws KasaneError JOB_INVALID */
export function pinnedSweep(sweep: Sweep, store: Models): Sweep {
  const { base, search } = sweep;
  const init = search.parameters.init as { readonly choices?: readonly unknown[] } | undefined;
  const choices = init?.choices?.map((choice) =>
    typeof choice === 'string' && isOfModel(choice, store) ? pinnedName(choice, store.models) : choice,
  );
  const parameters = choices ? { ...search.parameters, init: { ...init, choices } } : search.parameters;
  return {
    ...sweep,
    base: pinned(base as { readonly init?: unknown }, store) as Sweep['base'],
    search: { ...search, parameters } as Sweep['search'],
  };
}

function pinnedName(name: string, models: ModelStore): string {
  try {
    return nameOf(models.require(name));
  } catch (cause) {
    throw new KasaneError('JOB_INVALID', `init: ${messageOf(cause)}`, { cause });
  }
}
