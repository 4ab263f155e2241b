/** The service for sweeps. */
import type { SweepsServer } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { Logger } from 'pino';
import type { Sweeps } from '../sweeps/sweeps.ts';
import { askerOf, handlers } from './handlers.ts';
import { watchSweep } from './watch-sweep.ts';

export function sweepsService(sweeps: Sweeps, log: Logger): SweepsServer {
  const { unary, watched } = handlers(log);
  return {
    submit: unary(({ sweepFile, priority, source }, call) =>
      sweeps.submit(sweepFile, priority, askerOf(call), source),
    ),
    get: unary(({ sweep }) => ({ sweep: sweeps.get(sweep).sweep })),
    list: unary(({ pageSize, pageToken }) => sweeps.list(pageSize, pageToken)),
    cancel: unary(async ({ sweep }) => ({ sweep: await sweeps.cancel(sweep) })),
    watch: watched((call, refuse) => watchSweep(call, sweeps, refuse)),
  };
}
