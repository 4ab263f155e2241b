/** What users hear of calls that fail at the coordinator's end. */
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { JobsService } from '../src/gen/kasane/v1/jobs.ts';
import { CoordinatorClient } from '../src/grpc/client.ts';

let server: Server;
afterEach(() => server.forceShutdown());

it('a coordinator that is stopped during a call is said to have stopped', async () => {
  server = new Server();
  const cancelled = (_: unknown, done: (error: object) => void) =>
    done({ code: status.CANCELLED, details: 'Call cancelled' });
  server.addService({ get: JobsService.get }, { get: cancelled });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = new CoordinatorClient({ coordinator: `127.0.0.1:${port}` });
  await expect(client.get('x')).rejects.toMatchObject({
    code: 'UNREACHABLE',
    message: expect.stringMatching(
      /^the coordinator at 127\.0\.0\.1:\d+ stopped before it answered; start it again/,
    ),
  });
  client.close();
});
