/**
 * The worker's end of the training stream and of its data link: connects, keeps them alive, connects again. Knows nothing of
 * tasks.
 */
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
  /** Its payload holds until the call returns. */
  readonly onFrame: (frame: Frame) => void;
  /** Hears what is said over the link. */
  readonly onSaid?: ((message: WorkerMessage) => void) | undefined;
  /** The stream broke; another attempt follows in `retryMs`. */
  readonly onBroken: (why: string, retryMs: number) => void;
  /** The coordinator will not have this worker: no attempt follows. */
  readonly onRefused: (error: KasaneError) => void;
  /** A coordinator that has not answered so long after it was called is not there, whatever accepted the connection. Default: 20,000. */
  readonly welcomeMs?: number;
}

type Message = NonNullable<WorkerMessage['message']>;

/** What `sendSoon` holds waits so long for company, in milliseconds. */
const SOON_MS = 20;
const FIRST_RETRY_MS = 100;
/** The wait is spread by half: a coordinator that is back has its workers within about twice this. */
const LAST_RETRY_MS = 1_500;

export class CoordinatorStream {
  readonly #options: StreamOptions;
  /** That it is this worker that comes back, and no other of its name. */
  readonly #session = randomBytes(32);
  readonly #client: Client;
  #stream: ClientDuplexStream<ConnectRequest, ConnectResponse> | undefined;
  #link: Link | undefined;
  /** Parts of what workers exchange, on their way to the coordinator. */
  #parts: PacedFrames | undefined;
  #forRoom: (() => void)[] = [];
  #retry: NodeJS.Timeout | undefined;
  #welcomeLate: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** When the coordinator welcomed this worker; undefined: the stream that is there has not seen that. */
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
      // A worker has one stream; sharing a connection pool with other clients of the process would mix their fates.
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#beat = setInterval(() => {
      this.#stream?.write({ messages: [{ message: { $case: 'heartbeat', value: options.heartbeat() } }] });
    }, HEARTBEAT_INTERVAL_MS);
    this.#connect();
  }

  /** Sends a message, after those that `sendSoon` holds. Without a link it is lost, as is what it speaks of. */
  send(message: Message): void {
    this.#say([...this.#takeHeld(), { message }]);
  }

  /** Sends a message with the next one, or a little later. */
  sendSoon(message: Message): void {
    this.#held.push({ message });
    this.#soon ??= setTimeout(() => this.#say(this.#takeHeld()), SOON_MS);
  }

  /** Sends a frame and what follows it. Resolves when there is room for the next. */
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

  /** Sends part of what workers exchange: of a slow link little is under way at once. Resolves when there is room for the next. */
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

  /** Whoever waited for room goes on: there is some, or no link any more. */
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

  /** The address of this machine from which the coordinator is reached; undefined while it is not. */
  get localAddress(): string | undefined {
    return this.#link?.localAddress;
  }

  /** Gives the connection up and makes another. */
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
    this.#takeHeld(); // said of a stream that is no more
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
          // When the stream breaks too, it knows why.
          setImmediate(() => this.#broke(stream, undefined, sentenceOf(why)));
        },
      },
      tls,
    );
    this.#link = link;
    this.#parts = parts;
  }

  /** Ends stream and link. */
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
    // Many workers that come back at once to a coordinator that cannot take them would do so again and again.
    if (this.#welcomedAt !== undefined && performance.now() - this.#welcomedAt > HEARTBEAT_TIMEOUT_MS)
      this.#retryMs = FIRST_RETRY_MS;
    this.#welcomedAt = undefined;
    const code = String(error?.metadata?.get('kasane-error')[0] ?? '');
    // Too many calls, or workers, or one of this name that has just left: that passes, who this worker is does not.
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
