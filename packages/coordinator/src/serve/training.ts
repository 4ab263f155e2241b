/** The coordinator's side of workers: one stream and one data link per worker process; if either ends, the worker has left. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type handleBidiStreamingCall, Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import {
  ConnectRequest,
  ConnectResponse,
  type Heartbeat,
  type Hello,
  type WorkerMessage,
} from '@kasane/protocol/gen/kasane/v1/training';
import { checkWorkerMessage } from '@kasane/protocol/internal/grpc/worker-messages';
import { plainIp } from '@kasane/protocol/internal/ports/address';
import { encodeFrame, type Frame } from '@kasane/protocol/internal/wire/frame';
import { LINK_KEY_BYTES, Link } from '@kasane/protocol/internal/wire/link';
import { LinkProbe, unasked, windowOf } from '@kasane/protocol/internal/wire/link-probe';
import { PacedFrames } from '@kasane/protocol/internal/wire/paced-frames';
import {
  ERROR_TEXT,
  HEARTBEAT_TIMEOUT_MS,
  type Limits,
  PROTOCOL_VERSION,
  STREAM_MESSAGE_BYTES,
  WORKER_TEXT,
  WORKERS,
} from '@kasane/protocol/limits';
import { type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Runs } from '../jobs/runs.ts';
import type { PeerMesh } from '../peers/mesh.ts';
import type { ConnectedWorker, Owner, Quarantined, WorkerRegistry } from '../workers.ts';
import { CALLER } from './admission.ts';
import { OutgoingVersions } from './outgoing-versions.ts';
import { otherRedis, RedisCheck } from './redis-check.ts';
import { hear, said } from './worker-says.ts';

type Stream = ServerDuplexStream<ConnectRequest, ConnectResponse>;

export interface TrainingOptions {
  readonly workers: WorkerRegistry;
  /** Redis URL for workers. */
  readonly redisUrl: string;
  /** The coordinator's Redis and its address: workers are accepted once they have proved that they use the same one. */
  readonly redis: Pick<Redis, 'unlink'>;
  readonly ownRedisUrl: string;
  readonly runs: Runs;
  /** Which workers can reach each other. */
  readonly mesh: PeerMesh;
  readonly limits: Pick<Limits, 'messageBytes' | 'streamBytes'>;
  readonly log: Logger;
}

export interface TrainingHandlers {
  /** Handles `Training.Connect`. An invalid message ends that worker's stream only. */
  readonly connect: handleBidiStreamingCall<ConnectRequest, ConnectResponse>;
  /** Accepts a worker's data link; returns whether a worker was given this key. */
  readonly link: (socket: Socket, key: Buffer) => boolean;
}

export function trainingHandlers(options: TrainingOptions): TrainingHandlers {
  /** Sessions of workers that are not accepted yet, by the keys of their links. */
  const waiting = new Map<string, Session>();
  return {
    connect: (stream) => {
      const session = new Session(stream, options, waiting);
      stream.on('data', (message: ConnectRequest) => session.receive(message));
      stream.on('end', () => session.close({ code: 'stream-closed', args: {} }));
      stream.on('error', ({ message }: Error) =>
        session.close({ code: 'stream-failed', args: { why: message } }),
      );
      stream.on('cancelled', () => session.close({ code: 'connection-lost', args: {} }));
      stream.on('close', () => session.close({ code: 'connection-lost', args: {} }));
    },
    link: (socket, key) => {
      const isTaken = waiting.get(mapKey(key))?.link(socket) ?? false;
      if (!isTaken) socket.destroy();
      return isTaken;
    },
  };
}

const mapKey = (linkKey: Buffer) => linkKey.toString('hex');

class Session {
  readonly #stream: Stream;
  readonly #options: TrainingOptions;
  readonly #waiting: Map<string, Session>;
  readonly #silence: NodeJS.Timeout;
  readonly #linkKey = randomBytes(LINK_KEY_BYTES);
  readonly #redisCheck: RedisCheck;
  /** The worker's Redis, as the worker names it. */
  #place = '';
  #said: Hello | undefined;
  #link: Link | undefined;
  /** Address of the other end of the link. */
  #address = '';
  #worker: ConnectedWorker | undefined;
  #closed = false;
  #heardAt = performance.now();
  #heartbeat: Heartbeat = { busy: 0, waiting: 0 };
  readonly #versions = new OutgoingVersions(() => this.#link);
  /** Parts of what workers exchange. */
  readonly #parts = new PacedFrames((frame) => this.#link?.send(frame));
  #forRoom: (() => void)[] = [];
  #probe: LinkProbe | undefined;

  constructor(stream: Stream, options: TrainingOptions, waiting: Map<string, Session>) {
    this.#stream = stream;
    this.#options = options;
    this.#waiting = waiting;
    this.#redisCheck = new RedisCheck({
      redis: options.redis,
      ask: (nonce) => this.#stream.write({ message: { $case: 'proveRedis', value: { nonce } } }),
      onSame: () => this.#join(),
      onOther: () => {
        const { worker, host } = this.#said!;
        throw otherRedis(worker, said(host, WORKER_TEXT), this.#place, options.ownRedisUrl);
      },
    });
    const began = this.#heardAt;
    let [judgedAt, isTold] = [began, false];
    this.#silence = setInterval(() => {
      const now = performance.now();
      const late = now - judgedAt > HEARTBEAT_TIMEOUT_MS / 2;
      judgedAt = now;
      // This process was blocked: messages that arrived meanwhile have yet to be read.
      if (late) return;
      const silent = now - this.#heardAt;
      if (silent > HEARTBEAT_TIMEOUT_MS)
        this.close({ code: 'worker-silent', args: { seconds: Math.round(silent / 100) / 10 } });
      else if (this.#worker || now - began <= HEARTBEAT_TIMEOUT_MS) return;
      else if (!this.#link) this.close({ code: 'no-link', args: {} });
      else if (!isTold) {
        isTold = true;
        options.log.warn(
          `worker ${this.#said!.worker} has not written to Redis yet and will not join jobs until it has; see its log`,
        );
      }
    }, HEARTBEAT_TIMEOUT_MS / 4);
  }

  receive({ messages }: ConnectRequest): void {
    this.#heardAt = performance.now();
    for (const message of messages) this.#one(message);
  }

  /** Accepts the worker's data link. Returns whether it is the first. */
  link(socket: Socket): boolean {
    if (this.#link) return false;
    this.#address = plainIp(socket.remoteAddress ?? '');
    this.#link = new Link(socket, {
      onFrame: (frame) => this.#frame(frame),
      onRoom: () => {
        this.#versions.flush();
        this.#room();
      },
      onClose: (why, error) => (error ? this.#badFrame(error) : this.close(why)),
      frameBytes: this.#options.limits.messageBytes,
    });
    return true;
  }

  /** The data link is open and Redis is the same: the worker is accepted. */
  #join(): void {
    const hello = this.#said!;
    const link = this.#link!;
    const { workers, log, runs, limits } = this.#options;
    this.#waiting.delete(mapKey(this.#linkKey));
    const owner = this.#owner(hello);
    // Another worker of this name may have been accepted meanwhile.
    if (workers.isTaken(hello.worker, owner)) {
      this.#refuse(nameTaken(hello.worker));
      return;
    }
    // The worker reconnected before its old stream was seen to break; the tasks it held there are lost.
    workers.get(hello.worker)?.close({ code: 'reconnected', args: {} });
    const worker: ConnectedWorker = {
      id: hello.worker,
      owner,
      host: said(hello.host, WORKER_TEXT),
      address: this.#address,
      slots: hello.slots,
      backend: said(hello.backend, WORKER_TEXT),
      connectedAt: Date.now(),
      draining: false,
      tasksDone: 0,
      tasksFailed: 0,
      resting: new Map(),
      routes: new Map(),
      seen: () => ({
        ...this.#heartbeat,
        ...link.bytes,
        bytesUnsent: link.unread,
        heardAt: this.#heardAt,
      }),
      close: (why) => this.close(why),
      send: (message) => {
        link.send(encodeFrame({ kind: 'messages' }, ConnectResponse.encode({ message }).finish()));
        // Versions wait for room, but messages do not: a worker that stops reading would let them grow without limit.
        if (link.unread > this.#versions.sentBytes + limits.streamBytes)
          this.close({ code: 'bytes-unread', args: { bytes: link.unread } });
      },
      relay: (frame) => link.send(frame),
      relayPaced: async (frame) => {
        await this.#parts.send(frame);
        if (link.full) await new Promise<void>((resolve) => this.#forRoom.push(resolve));
      },
      probe: (onRate) => this.#measure(link, onRate),
      publish: (job, whole, changes) => this.#versions.publish(job, whole, changes),
      publishMore: (job, more) => this.#versions.publishMore(job, more),
    };
    this.#worker = worker;
    workers.add(worker);
    log.info(
      { worker: worker.id },
      `worker ${worker.id} joined with ${worker.slots} ${worker.slots === 1 ? 'slot' : 'slots'} (${worker.backend})`,
    );
    runs.workerJoined(worker);
  }

  #room(): void {
    for (const go of this.#forRoom.splice(0)) go();
  }

  /** Measures the link, and paces it from then on if it is slow. */
  #measure(link: Link, onRate: (bytesPerSecond: number) => void): void {
    this.#probe ??= new LinkProbe(
      (frame) => link.send(frame),
      (rate) => {
        const window = windowOf(rate);
        if (window > 0) {
          this.#parts.window = window;
          link.send(encodeFrame({ kind: 'pace', window }, new Uint8Array(0)));
        }
        onRate(rate);
      },
    );
    this.#probe.ask();
  }

  #frame({ header, payload }: Frame): void {
    if (this.#closed) return;
    this.#heardAt = performance.now();
    try {
      if (header.kind === 'messages' && payload.length > STREAM_MESSAGE_BYTES)
        throw new KasaneError(
          'PROTOCOL',
          `messages of ${payload.length} bytes; at most ${STREAM_MESSAGE_BYTES} are allowed`,
        );
      if (header.kind === 'messages') this.receive(ConnectRequest.decode(payload));
      else if (header.kind === 'took') this.#parts.took();
      else if (header.kind === 'probe' && header.answer) (this.#probe ?? unasked()).answered();
      else if (header.kind !== 'gradient' && header.kind !== 'sharedGradient' && header.kind !== 'partSum')
        throw new KasaneError('PROTOCOL', `a worker does not send '${header.kind}' frames`);
      else if (!this.#worker) throw new KasaneError('PROTOCOL', `a '${header.kind}' frame ${TOO_EARLY}`);
      else if (header.kind === 'partSum') {
        if (this.#parts.window > 0) this.#link?.send(encodeFrame({ kind: 'took' }, new Uint8Array(0)));
        this.#options.runs.get(header.job)?.sync?.partSum(this.#worker.id, header, payload);
      } else this.#options.runs.get(header.job)?.sync?.gradient(this.#worker.id, header, payload);
    } catch (error) {
      this.#badFrame(error);
    }
  }

  /** A frame was damaged or invalid. The link may be at fault, so the worker may reconnect, but not forever. */
  #badFrame(error: unknown): void {
    const hello = this.#said;
    if (this.#closed || !hello) return;
    const { workers, log } = this.#options;
    const { worker } = hello;
    const why = said(messageOf(error), WORKER_TEXT);
    const quarantined = workers.strike(worker, this.#owner(hello), said(hello.host, WORKER_TEXT), why);
    if (quarantined) {
      log.error(
        { worker, ...quarantined.why },
        `worker ${worker} is quarantined: ${sentenceOf(quarantined.why)}`,
      );
      this.#refuse(quarantineError(quarantined));
    } else {
      log.warn({ worker }, `bad frame from worker ${worker}: ${why}`);
      this.close({ code: 'bad-frame', args: { why } });
    }
  }

  #one({ message }: WorkerMessage): void {
    if (this.#closed) return;
    try {
      if (!message) throw new KasaneError('PROTOCOL', 'an empty message, or one of a later protocol');
      // Workers of another version may send different messages, so check that first.
      if (message.$case === 'hello') checkVersion(message.value);
      checkWorkerMessage(message);
      if (message.$case === 'hello') {
        this.#hello(message.value);
        return;
      }
      if (!this.#said) throw new KasaneError('PROTOCOL', `'${message.$case}' before 'hello'`);
      if (message.$case === 'heartbeat') {
        this.#heartbeat = message.value;
        return;
      }
      if (message.$case === 'redisWritten' && this.#link) {
        this.#place = said(message.value.redis, WORKER_TEXT);
        this.#redisCheck.written(message.value.nonce).catch((error: unknown) => this.#refuse(error));
        return;
      }
      const worker = this.#worker;
      if (!worker) {
        if (message.$case !== 'drain') throw new KasaneError('PROTOCOL', `'${message.$case}' ${TOO_EARLY}`);
        this.close({ code: 'shut-down', args: {} });
        return;
      }
      hear(worker, message, this.#options);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Ends the session; tasks that the worker held are reissued. Safe to call more than once. */
  close(why: Reason): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#silence);
    this.#redisCheck.close();
    this.#waiting.delete(mapKey(this.#linkKey));
    this.#link?.close();
    this.#versions.close();
    this.#parts.close();
    this.#room();
    const worker = this.#worker;
    if (worker && this.#options.workers.remove(worker, why)) {
      this.#options.log.info(
        { worker: worker.id, ...why },
        `worker ${worker.id} disconnected: ${sentenceOf(why)}`,
      );
      this.#options.mesh.left(worker.id);
      this.#options.runs.workerLeft(worker.id, why);
    }
    this.#stream.end();
    this.#stream.destroy();
  }

  #hello(hello: Hello): void {
    const { workers, redisUrl } = this.#options;
    if (this.#said) throw new KasaneError('PROTOCOL', "a second 'hello' on one stream");
    const owner = this.#owner(hello);
    const quarantined = workers.quarantineOf(hello.worker, owner);
    if (quarantined) throw quarantineError(quarantined);
    if (workers.isTaken(hello.worker, owner)) throw nameTaken(hello.worker);
    if (workers.size + this.#waiting.size >= WORKERS)
      throw new KasaneError('LIMIT', `${WORKERS} workers are connected, which is the limit`);
    this.#said = hello;
    this.#waiting.set(mapKey(this.#linkKey), this);
    const value = { redisUrl, heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS, linkKey: this.#linkKey };
    this.#stream.write({ message: { $case: 'welcome', value } });
    this.#redisCheck.ask();
  }

  #owner({ session = Buffer.alloc(0) }: Hello): Owner {
    const caller = String(this.#stream.metadata?.get(CALLER)[0] ?? '');
    return { caller, session: Buffer.from(session).toString('hex') };
  }

  #refuse(error: unknown): void {
    const code = error instanceof KasaneError ? error.code : 'PROTOCOL';
    this.#options.log.warn(
      { worker: this.#said?.worker },
      `disconnecting worker ${this.#said?.worker ?? '(unnamed)'}: ${messageOf(error)}`,
    );
    const metadata = new Metadata();
    metadata.set('kasane-error', code);
    const details = said(messageOf(error), ERROR_TEXT);
    this.#stream.emit(
      'error',
      Object.assign(new Error(details), { code: errorCodes[code].grpc, details, metadata }),
    );
    this.close({ code: 'refused', args: { why: details } });
  }
}

/** Error for what a worker may not send yet. */
const TOO_EARLY = "before the data link is open and the worker is on the coordinator's Redis";

const nameTaken = (id: string) =>
  new KasaneError(
    'WORKER_NAME',
    `another worker named ${id} is connected, or was until a moment ago; wait until it has disconnected, or give this worker a different name`,
  );

/** @throws KasaneError PROTOCOL */
function checkVersion({ protocol }: Hello): void {
  if (protocol === PROTOCOL_VERSION) return;
  const what = `worker speaks protocol ${protocol}, the coordinator ${PROTOCOL_VERSION}`;
  throw new KasaneError('PROTOCOL', `${what}: install the same version of Kasane on both`);
}

const quarantineError = ({ id, why }: Quarantined) =>
  new KasaneError(
    'QUARANTINED',
    `worker ${id} is quarantined: ${sentenceOf(why)}; check its memory, its network and its version of Kasane, then restart it`,
  );
