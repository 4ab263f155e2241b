/** The worker's end of the training stream and its data link: connects, keeps them alive, reconnects. Independent of tasks. */
import { randomBytes } from 'node:crypto';
import { Client, type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, errorCodes, KasaneError } from '@kasane/protocol/errors';
import {
  ConnectRequest,
  ConnectResponse,
  type Hello,
  TrainingService,
  type WorkerMessage,
} from '@kasane/protocol/gen/kasane/v1/training';
import { reasonOf, whyInsecure, whyNobody } from '@kasane/protocol/internal/grpc/call-errors';
import { type ClientTls, channelTo } from '@kasane/protocol/internal/security/tls';
import { tokenMetadata } from '@kasane/protocol/internal/security/token';
import { encodeFrame, type Frame, type FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { type Link, openLink } from '@kasane/protocol/internal/wire/link';
import { PacedFrames } from '@kasane/protocol/internal/wire/paced-frames';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS, MESSAGE_BYTES } from '@kasane/protocol/limits';
import { sentenceOf } from '@kasane/protocol/reasons';

export interface StreamOptions {
  readonly coordinator: string;
  readonly token?: string | undefined;
  readonly tls?: ClientTls | undefined;
  readonly hello: Hello;
  readonly heartbeat: () => { busy: number; waiting: number };
  readonly onMessage: (message: NonNullable<ConnectResponse['message']>) => void;
  /** Its payload is valid until the call returns. */
  readonly onFrame: (frame: Frame) => void;
  /** Called with each message sent over the link. */
  readonly onSaid?: ((message: WorkerMessage) => void) | undefined;
  /** The stream broke; the next attempt follows in `retryMs`. */
  readonly onBroken: (why: string, retryMs: number) => void;
  /** The coordinator refuses this worker: no further attempts. */
  readonly onRefused: (error: KasaneError) => void;
  /** A coordinator that has not answered after this long is treated as down, even if something accepted the connection. Default: 20,000. */
  readonly welcomeMs?: number;
}

type Message = NonNullable<WorkerMessage['message']>;

/** How long `sendSoon` waits to batch messages, in milliseconds. */
const SOON_MS = 20;
const FIRST_RETRY_MS = 100;
/** The wait is randomized by half: a coordinator that comes back has its workers within about twice this. */
const LAST_RETRY_MS = 1_500;

export class CoordinatorStream {
  readonly #options: StreamOptions;
  /** Proves that it is this process that reconnects, not another of the same name. */
  readonly #session = randomBytes(32);
  readonly #client: Client;
  #stream: ClientDuplexStream<ConnectRequest, ConnectResponse> | undefined;
  #link: Link | undefined;
  /** Frames of the exchange between workers that go through the coordinator. */
  #parts: PacedFrames | undefined;
  #forRoom: (() => void)[] = [];
  #retry: NodeJS.Timeout | undefined;
  #welcomeLate: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** When the coordinator welcomed this worker; undefined until it does on the current stream. */
  #welcomedAt: number | undefined;
  #closed = false;
  #held: WorkerMessage[] = [];
  #soon: NodeJS.Timeout | undefined;
  readonly #beat: NodeJS.Timeout;

  constructor(options: StreamOptions) {
    this.#options = options;
    const channel = channelTo(options.coordinator, options.tls);
    this.#client = new Client(options.coordinator, channel.credentials, {
      ...channel.options,
      'grpc.max_receive_message_length': MESSAGE_BYTES,
      'grpc.max_send_message_length': MESSAGE_BYTES,
      'grpc.keepalive_time_ms': 2 * HEARTBEAT_TIMEOUT_MS,
      'grpc.keepalive_timeout_ms': HEARTBEAT_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': FIRST_RETRY_MS,
      'grpc.max_reconnect_backoff_ms': LAST_RETRY_MS,
      // One stream per worker: a connection pool shared with other clients of the process would make their failures affect each other.
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#beat = setInterval(() => {
      this.#stream?.write({ messages: [{ message: { $case: 'heartbeat', value: options.heartbeat() } }] });
    }, HEARTBEAT_INTERVAL_MS);
    this.#connect();
  }

  /** Sends a message, after those that `sendSoon` holds. Without a link it is dropped; the tasks it refers to are lost anyway. */
  send(message: Message): void {
    this.#say([...this.#takeHeld(), { message }]);
  }

  /** Sends a message with the next one, or a little later. */
  sendSoon(message: Message): void {
    this.#held.push({ message });
    this.#soon ??= setTimeout(() => this.#say(this.#takeHeld()), SOON_MS);
  }

  /** Sends a frame and the messages that follow it. Resolves when there is room for the next. */
  async sendFrame(header: FrameHeader, payload: Uint8Array, ...after: readonly Message[]): Promise<void> {
    const link = this.#link;
    if (!link) return;
    const before = this.#takeHeld();
    link.send(
      ...(before.length > 0 ? [this.#encode(before)] : []),
      encodeFrame(header, payload),
      ...(after.length > 0 ? [this.#encode(after.map((message) => ({ message })))] : []),
    );
    if (link.full) await new Promise<void>((resolve) => this.#forRoom.push(resolve));
  }

  /** Sends a frame of the exchange between workers, with little in flight on a slow link. Resolves when there is room for the next. */
  async sendPaced(frame: Buffer): Promise<void> {
    const link = this.#link;
    await this.#parts?.send(frame);
    if (link?.full) await new Promise<void>((resolve) => this.#forRoom.push(resolve));
  }

  #say(messages: readonly WorkerMessage[]): void {
    this.#link?.send(this.#encode(messages));
  }

  #encode(messages: readonly WorkerMessage[]): Buffer {
    for (const message of messages) this.#options.onSaid?.(message);
    return encodeFrame({ kind: 'messages' }, ConnectRequest.encode({ messages: [...messages] }).finish());
  }

  /** Wakes those who wait for room: there is some, or the link is gone. */
  #room(): void {
    for (const go of this.#forRoom.splice(0)) go();
  }

  #takeHeld(): WorkerMessage[] {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** The local address of the connection to the coordinator; undefined while there is none. */
  get localAddress(): string | undefined {
    return this.#link?.localAddress;
  }

  /** Drops the connection and makes a new one. */
  reconnect(why: string): void {
    if (this.#stream) this.#broke(this.#stream, undefined, why);
  }

  close(): void {
    if (this.#closed) return;
    this.#takeHeld();
    this.#closed = true;
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#stream?.end();
    this.#cut();
    this.#client.close();
  }

  #connect(): void {
    const { path, requestSerialize, responseDeserialize } = TrainingService.connect;
    const stream = this.#client.makeBidiStreamRequest<ConnectRequest, ConnectResponse>(
      path,
      requestSerialize,
      responseDeserialize,
      tokenMetadata(this.#options.token),
      { waitForReady: false } as object,
    );
    this.#stream = stream;
    const { welcomeMs = 4 * HEARTBEAT_TIMEOUT_MS } = this.#options;
    const late = `the coordinator did not answer within ${welcomeMs / 1000} s`;
    this.#welcomeLate = setTimeout(() => this.#broke(stream, undefined, late), welcomeMs);
    this.#takeHeld(); // belongs to a stream that is gone
    const hello: Hello = { ...this.#options.hello, session: this.#session };
    stream.write({ messages: [{ message: { $case: 'hello', value: hello } }] });
    stream.on('data', ({ message }: ConnectResponse) => {
      if (!message) return;
      this.#options.onMessage(message);
      if (message.$case !== 'welcome' || this.#stream !== stream) return;
      clearTimeout(this.#welcomeLate);
      this.#welcomedAt = performance.now();
      this.#openLink(stream, message.value.linkKey);
    });
    stream.on('error', (error: ServiceError) => this.#broke(stream, error));
    stream.on('end', () => this.#broke(stream, undefined));
  }

  #openLink(stream: object, key: Uint8Array): void {
    const { coordinator, tls, onMessage, onFrame } = this.#options;
    this.#link?.close();
    this.#parts?.close();
    const parts = new PacedFrames((frame) => link.send(frame));
    const link = openLink(
      coordinator,
      key,
      {
        onFrame: ({ header, payload }) => {
          if (header.kind === 'probe')
            return link.send(encodeFrame({ kind: 'probe', answer: true }, payload));
          if (header.kind === 'took') return parts.took();
          if (header.kind === 'pace') {
            parts.window = header.window;
            return;
          }
          if (header.kind === 'partParameters' && parts.window > 0)
            link.send(encodeFrame({ kind: 'took' }, new Uint8Array(0)));
          if (header.kind !== 'messages') return onFrame({ header, payload });
          const { message } = ConnectResponse.decode(payload);
          if (message) onMessage(message);
        },
        onRoom: () => this.#room(),
        onClose: (why) => {
          // Sets the reason before the stream breaks as well.
          setImmediate(() => this.#broke(stream, undefined, sentenceOf(why)));
        },
      },
      tls,
    );
    this.#link = link;
    this.#parts = parts;
  }

  /** Closes stream and link. */
  #cut(): void {
    clearTimeout(this.#welcomeLate);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#link?.close();
    this.#link = undefined;
    this.#parts?.close();
    this.#parts = undefined;
    this.#room();
  }

  #broke(stream: object, error: ServiceError | undefined, why = 'the coordinator closed the stream'): void {
    if (this.#stream !== stream || this.#closed) return;
    this.#cut();
    // Otherwise, many workers returning at once to a coordinator that cannot take them would do so again and again.
    if (this.#welcomedAt !== undefined && performance.now() - this.#welcomedAt > HEARTBEAT_TIMEOUT_MS)
      this.#retryMs = FIRST_RETRY_MS;
    this.#welcomedAt = undefined;
    const code = String(error?.metadata?.get('kasane-error')[0] ?? '');
    // Limits and names in use may change with time; other refusals are final.
    const refused = Object.hasOwn(errorCodes, code) && code !== 'LIMIT' && code !== 'WORKER_NAME';
    if (error && (error.code === status.UNAUTHENTICATED || refused)) {
      this.#options.onRefused(
        new KasaneError(refused ? (code as ErrorCode) : 'NOT_ALLOWED', reasonOf(error)),
      );
      return;
    }
    // Jitter spreads the return of many workers; no result depends on it.
    const wait = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    const insecure = error && whyInsecure(error, this.#options.tls !== undefined);
    const reason = error ? (whyNobody(error) ?? reasonOf(error)) : why;
    this.#options.onBroken(insecure ?? reason, wait);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }
}
