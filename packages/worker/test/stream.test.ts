/** The worker's end of the stream against a real gRPC server that breaks it. */
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { decodeFrame } from '@kasane/protocol/frame';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import type { ConnectRequest, ConnectResponse, WorkerMessage } from '@kasane/protocol/gen/kasane/v1/training';
import { type Outgoing, trainingService } from '@kasane/protocol/training-service';
import { CoordinatorStream } from '@kasane/worker/stream';
import { afterEach, describe, expect, it } from 'vitest';

type Stream = ServerDuplexStream<ConnectRequest, Outgoing<ConnectResponse>>;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

async function serve(onStream: (stream: Stream) => void, port = 0) {
  const server = new Server();
  server.addService(trainingService, { connect: onStream });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, taken) =>
      error ? reject(error) : resolve(taken),
    ),
  );
  closing.push(() => server.forceShutdown());
  return { server, port: bound };
}

function connect(port: number) {
  const seen = { broken: [] as string[], refused: [] as Error[], messages: 0 };
  const stream = new CoordinatorStream({
    coordinator: `127.0.0.1:${port}`,
    hello: { worker: 'w', host: 'h', slots: 1, backend: 'wasm', protocol: 1 },
    heartbeat: () => ({ busy: 0, waiting: 0 }),
    onMessage: () => seen.messages++,
    onBroken: (why) => seen.broken.push(why),
    onRefused: (error) => seen.refused.push(error),
  });
  closing.push(() => stream.close());
  return { stream, seen };
}

const until = async (condition: () => boolean) => {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen in 10 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

describe('CoordinatorStream', { timeout: 30_000 }, () => {
  it('says hello again after the server has gone and come back', async () => {
    const hellos: string[] = [];
    const listen = (stream: Stream) =>
      stream.on('data', ({ messages }: ConnectRequest) => {
        for (const { message } of messages) if (message?.$case === 'hello') hellos.push(message.value.worker);
      });
    const { server, port } = await serve(listen);
    const { seen } = connect(port);
    await until(() => hellos.length === 1);
    server.forceShutdown();
    await until(() => seen.broken.length > 0);
    await serve(listen, port);
    await until(() => hellos.length === 2);
    expect(seen.refused).toEqual([]);
  });

  it('does not come back where it is refused', async () => {
    const { port } = await serve((stream) =>
      stream.emit('error', { code: status.UNAUTHENTICATED, details: 'the token is wrong' }),
    );
    const { seen } = connect(port);
    await until(() => seen.refused.length === 1);
    expect(seen.refused[0]).toMatchObject({ code: 'NOT_ALLOWED', message: 'the token is wrong' });
    expect(seen.broken).toEqual([]);
  });

  it('sends what can wait with what comes next, in order', async () => {
    const requests: WorkerMessage[][] = [];
    const { port } = await serve((stream) =>
      stream.on('data', ({ messages }: ConnectRequest) => requests.push(messages)),
    );
    const { stream } = connect(port);
    await until(() => requests.length === 1);
    const claim = (step: number) => {
      const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step, shard: 0, attempt: 1 };
      return { $case: 'claim', value: { task } } as const;
    };
    stream.sendSoon(claim(1));
    const header = {
      kind: 'gradient',
      job: 'j',
      step: 0,
      shard: 0,
      attempt: 1,
      partition: 0,
      offset: 0,
    } as const;
    await stream.sendFrame(header, Uint8Array.of(1, 2, 3, 4), { $case: 'drain', value: {} });
    stream.sendSoon(claim(2));
    const isBeat = (messages: WorkerMessage[]) => messages[0]?.message?.$case === 'heartbeat';
    const said = () => requests.slice(1).filter((messages) => !isBeat(messages));
    await until(() => said().length === 2);
    const [together, later] = said();
    expect(together!.map(({ message }) => message?.$case)).toEqual(['claim', 'frame', 'drain']);
    expect(later!.map(({ message }) => message)).toMatchObject([claim(2)]);
    const frame = together![1]!.message;
    if (frame?.$case === 'frame') expect([...decodeFrame(frame.value).payload]).toEqual([1, 2, 3, 4]);
  });
});
