/** The worker's end of stream and data link against a real server that breaks them. */
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import {
  ConnectRequest,
  type ConnectResponse,
  TrainingService,
} from '@kasane/protocol/gen/kasane/v1/training';
import { listenOn } from '@kasane/protocol/internal/ports/listen';
import { encodeFrame, type Frame } from '@kasane/protocol/internal/wire/frame';
import { LINK_KEY_BYTES, Link } from '@kasane/protocol/internal/wire/link';
import { PROTOCOL_VERSION } from '@kasane/protocol/limits';
import { CoordinatorStream } from '@kasane/worker/internal/connection/stream';
import { afterEach, describe, expect, it } from 'vitest';

type Stream = ServerDuplexStream<ConnectRequest, ConnectResponse>;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});

/** A coordinator's port: hears what comes over the streams, and as frames over the links. */
async function serve(
  onStream: (stream: Stream) => void,
  onFrame: (frame: Frame, link: Link) => void = () => {},
  port = 0,
) {
  const server = new Server();
  server.addService(TrainingService, { connect: onStream });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const links: Link[] = [];
  const listener = await listenOn('127.0.0.1', port, {
    grpc: (socket) => injector.injectConnection(socket),
    link: (socket) => {
      const link: Link = new Link(socket, { onFrame: (frame) => onFrame(frame, link), onClose: () => {} });
      links.push(link);
    },
  });
  const close = () => {
    listener.close();
    for (const link of links) link.close();
    injector.destroy();
    server.forceShutdown();
  };
  closing.push(close);
  return { close, links, port: listener.port };
}

/** Answers a Hello as a coordinator does. */
function welcome(stream: Stream): void {
  const value = { redisUrl: '', heartbeatTimeoutMs: 5000, linkKey: Buffer.alloc(LINK_KEY_BYTES, 1) };
  stream.write({ message: { $case: 'welcome', value } });
}

function connect(port: number, more: { readonly welcomeMs?: number } = {}) {
  const seen = {
    broken: [] as string[],
    waits: [] as number[],
    refused: [] as Error[],
    messages: [] as string[],
  };
  const stream = new CoordinatorStream({
    coordinator: `127.0.0.1:${port}`,
    hello: { worker: 'w', host: 'h', slots: 1, backend: 'wasm', protocol: PROTOCOL_VERSION },
    heartbeat: () => ({ busy: 0, waiting: 0 }),
    onMessage: (message) => seen.messages.push(message.$case),
    onFrame: ({ header }) => seen.messages.push(header.kind),
    onBroken: (why, retryMs) => {
      seen.broken.push(why);
      seen.waits.push(retryMs);
    },
    onRefused: (error) => seen.refused.push(error),
    ...more,
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
    const { close, port } = await serve(listen);
    const { seen } = connect(port);
    await until(() => hellos.length === 1);
    close();
    await until(() => seen.broken.length > 0);
    await serve(listen, undefined, port);
    await until(() => hellos.length === 2);
    expect(seen.refused).toEqual([]);
  });

  it('calls again where a connection is accepted and nobody answers', async () => {
    const hellos: string[] = [];
    const { port } = await serve((stream) => {
      stream.on('data', () => {
        hellos.push('hello');
        if (hellos.length === 2) welcome(stream);
      });
    });
    const { seen } = connect(port, { welcomeMs: 300 });
    await until(() => seen.messages.includes('welcome'));
    expect(hellos).toHaveLength(2);
    expect(seen.broken).toEqual(['the coordinator did not answer within 0.3 s']);
  });

  it('answers probes, and has little under way over a link that is said to be slow', async () => {
    const frames: string[] = [];
    let other: Link | undefined;
    const { port, links } = await serve(
      (stream) => stream.on('data', () => welcome(stream)),
      ({ header, payload }, link) => {
        other = link;
        frames.push(`${header.kind} ${payload.length}`);
      },
    );
    const { stream, seen } = connect(port);
    await until(() => links.length === 1);
    const empty = new Uint8Array(0);
    const chunk = { kind: 'partParameters', job: 'j', layout: 1, version: 1, offset: 0 } as const;
    const probe = encodeFrame({ kind: 'probe', answer: false }, new Uint8Array(5000));
    // Who is not paced says nothing of what it has taken.
    links[0]!.send(encodeFrame(chunk, new Uint8Array(8)), probe);
    await until(() => frames.length === 1);
    links[0]!.send(encodeFrame({ kind: 'pace', window: 1500 }, empty), encodeFrame(chunk, new Uint8Array(8)));
    await until(() => frames.length === 2);
    expect(frames.splice(0)).toEqual(['probe 5000', 'took 0']);
    expect(seen.messages.filter((kind) => kind === 'partParameters')).toHaveLength(2);
    const sum = { kind: 'partSum', job: 'j', layout: 1, step: 1, offset: 0 } as const;
    let left = 0;
    for (const size of [1000, 1001, 1002])
      void stream.sendPaced(encodeFrame(sum, new Uint8Array(size))).then(() => left++);
    await until(() => frames.length === 1);
    other!.send(encodeFrame({ kind: 'took' }, empty));
    await until(() => frames.length === 2);
    expect([left, frames]).toEqual([2, ['partSum 1000', 'partSum 1001']]);
    // Nobody waits for a link that is no more.
    stream.close();
    await until(() => left === 3);
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

  it('waits longer and longer for a coordinator that welcomes it and cannot keep it', async () => {
    const { port } = await serve((stream) => {
      stream.on('data', () => {
        welcome(stream);
        stream.end();
      });
    });
    const { seen } = connect(port);
    await until(() => seen.waits.length === 5);
    expect(seen.messages.filter((kind) => kind === 'welcome')).not.toHaveLength(0);
    // 100 ms doubled four times and cut to 1.5 s, spread by half.
    expect(seen.waits[0]).toBeLessThanOrEqual(150);
    expect(seen.waits[4]).toBeGreaterThanOrEqual(750);
  });

  it('comes back where a limit was exceeded, which passes', async () => {
    const metadata = new Metadata();
    metadata.set('kasane-error', 'LIMIT');
    const limit = { code: status.RESOURCE_EXHAUSTED, details: 'more than 3 calls per second', metadata };
    let calls = 0;
    const { port } = await serve((stream) => {
      if (calls++ < 2) stream.emit('error', limit);
      else stream.on('data', ({ messages }: ConnectRequest) => messages.length > 0 && welcome(stream));
    });
    const { seen } = connect(port);
    await until(() => seen.messages.includes('welcome'));
    expect(seen.refused).toEqual([]);
    expect(seen.broken.slice(0, 2)).toEqual([limit.details, limit.details]);
  });

  it('sends what can wait with what comes next, in order, over the link', async () => {
    const said: string[] = [];
    const payloads: number[][] = [];
    const { links, port } = await serve(
      (stream) => stream.on('data', () => links.length === 0 && welcome(stream)),
      ({ header, payload }) => {
        if (header.kind === 'messages')
          for (const { message } of ConnectRequest.decode(payload).messages) {
            const step = message?.$case === 'claim' ? ` ${message.value.task?.step}` : '';
            said.push(`${message?.$case}${step}`);
          }
        else {
          said.push(header.kind);
          payloads.push([...payload]);
        }
      },
    );
    const { stream, seen } = connect(port);
    await until(() => seen.messages.includes('welcome') && links.length === 1);
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
    await until(() => said.length === 4);
    expect(said).toEqual(['claim 1', 'gradient', 'drain', 'claim 2']);
    expect(payloads).toEqual([[1, 2, 3, 4]]);
  });

  it('takes a broken link for a broken stream, and opens both again', async () => {
    let hellos = 0;
    const { links, port } = await serve((stream) =>
      stream.on('data', ({ messages }: ConnectRequest) => {
        if (messages[0]?.message?.$case !== 'hello') return;
        hellos++;
        welcome(stream);
      }),
    );
    const { seen } = connect(port);
    await until(() => links.length === 1);
    links[0]!.close();
    await until(() => links.length === 2);
    expect(hellos).toBe(2);
    expect(seen.broken).toEqual(['data link lost']);
    const frame = {
      kind: 'parameters',
      job: 'j',
      version: 1,
      partition: 0,
      offset: 0,
      total: 1,
      digest: 0,
    } as const;
    links[1]!.send(encodeFrame(frame, new Uint8Array(4)));
    await until(() => seen.messages.includes('parameters'));
  });
});
