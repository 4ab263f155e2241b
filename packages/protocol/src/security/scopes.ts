/**
 * What a token lets its holder do, and which scope each gRPC method asks for: one table, typed over the service definitions, so
 * that a method without a scope does not compile. What is not in the table is refused.
 */
import { ClusterService } from '../gen/kasane/v1/cluster.ts';
import { JobsService } from '../gen/kasane/v1/jobs.ts';
import { ModelsService } from '../gen/kasane/v1/models.ts';
import { SweepsService } from '../gen/kasane/v1/sweeps.ts';
import { TrainingService } from '../gen/kasane/v1/training.ts';

export const scopes = ['read', 'submit', 'work', 'admin'] as const;
/**
 * read: sees jobs, workers, models and weights. submit: also queues jobs, stops, resumes and deletes them, and registers models. work:
 * takes tasks and answers them, and is told where Redis is. admin: everything.
 */
export type Scope = (typeof scopes)[number];

/** What each scope includes besides itself. */
const includes: Readonly<Record<Scope, readonly Scope[]>> = {
  read: [],
  submit: ['read'],
  work: [],
  admin: ['read', 'submit', 'work'],
};

/** Whether a token with `granted` may do what asks for `wanted`. */
export function allows(granted: readonly Scope[], wanted: Scope): boolean {
  return granted.some((scope) => scope === wanted || includes[scope].includes(wanted));
}

type ScopesOf<Service> = Readonly<Record<keyof Service, Scope>>;
const jobs: ScopesOf<typeof JobsService> = {
  submit: 'submit',
  check: 'submit',
  get: 'read',
  list: 'read',
  listEpochs: 'read',
  watch: 'read',
  watchMetrics: 'read',
  watchEvents: 'read',
  cancel: 'submit',
  delete: 'submit',
  pause: 'submit',
  resume: 'submit',
  retry: 'submit',
  setPriority: 'submit',
  listCheckpoints: 'read',
  getConfusion: 'read',
  readSamples: 'read',
  downloadModel: 'read',
};
const sweeps: ScopesOf<typeof SweepsService> = {
  submit: 'submit',
  get: 'read',
  list: 'read',
  watch: 'read',
  cancel: 'submit',
};
const models: ScopesOf<typeof ModelsService> = {
  register: 'submit',
  get: 'read',
  list: 'read',
  setAlias: 'submit',
  removeAlias: 'submit',
  delete: 'submit',
  download: 'read',
};
const cluster: ScopesOf<typeof ClusterService> = { status: 'read', drain: 'admin' };
const training: ScopesOf<typeof TrainingService> = { connect: 'work' };

type Service = Readonly<Record<string, { readonly path: string }>>;
const byPath = (service: Service, wanted: Readonly<Record<string, Scope>>) =>
  Object.entries(service).map(([method, { path }]) => [path, wanted[method]!] as const);

/** `/package.Service/Method` to the scope that it asks for; undefined for anybody, without a token. */
export const methodScopes: ReadonlyMap<string, Scope | undefined> = new Map<string, Scope | undefined>([
  ...byPath(JobsService, jobs),
  ...byPath(SweepsService, sweeps),
  ...byPath(ModelsService, models),
  ...byPath(ClusterService, cluster),
  ...byPath(TrainingService, training),
  // A supervisor may ask without being let in.
  ['/grpc.health.v1.Health/Check', undefined],
  ['/grpc.health.v1.Health/Watch', undefined],
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', 'read'],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', 'read'],
]);
