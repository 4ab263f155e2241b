/** The service for registered models. */
import type { ModelsServer } from '@kasane/protocol/gen/kasane/v1/models';
import type { Logger } from 'pino';
import type { Registry } from '../models/registry.ts';
import type { Downloads } from './downloads.ts';
import { handlers } from './handlers.ts';

export function modelsService(registry: Registry, downloads: Downloads, log: Logger): ModelsServer {
  const { unary } = handlers(log);
  return {
    register: unary(async (request) => ({ model: await registry.register(request) })),
    get: unary(({ model }) => registry.get(model)),
    list: unary(({ name, pageSize, pageToken }) => registry.list(name, pageSize, pageToken)),
    setAlias: unary(({ model, alias }) => registry.setAlias(model, alias)),
    removeAlias: unary(async ({ name, alias }) => ({ model: await registry.removeAlias(name, alias) })),
    delete: unary(async ({ model }) => ({ bytes: await registry.delete(model) })),
    download: downloads.of(({ model }) => registry.weights(model)),
  };
}
