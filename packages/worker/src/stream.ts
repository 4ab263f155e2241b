/** The worker's end of the training stream: connects, keeps it alive, connects again. Knows nothing of tasks. */
import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, errorCodes, KasaneError } from '@kasane/protocol/errors';
import type { FrameHeader } from '@kasane/protocol/frame';
import type {
  ConnectRequest,
  ConnectResponse,
  Hello,
  WorkerMessage,
} from '@kasane/protocol/gen/kasane/v1/training';
import {
  FLOW_CONTROL_WINDOW,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_TIMEOUT_MS,
  MESSAGE_BYTES,
} from '@kasane/protocol/limits';
import { tokenMetadata } from '@kasane/protocol/token';
import { encodeFrameRequest, type Outgoing, trainingService } from '@kasane/protocol/training-service';

export interface StreamOptions {
  readonly coordinator: string;
  readonly token?: string | undefined;
  readonly hello: Hello;
  readonly heartbeat: () => { busy: number; waiting: number };
  readonly onMessage: (message: NonNullable<ConnectResponse['message']>) => void;
  /** The stream broke; another attempt follows in `retryMs`. */
  readonly onBroken: (why: string, retryMs: number) => void;
  /** The coordinator will not have this worker: no attempt follows. */
  readonly onRefused: (error: KasaneError) => void;
}

type Message = NonNullable<WorkerMessage['message']>;

/** What `sendSoon` holds waits so long for company, in milliseconds. */
const SOON_MS = 20;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export class CoordinatorStream {
  readonly #options: StreamOptions;
  readonly #client: Client;
  #stream: ClientDuplexStream<Outgoing<ConnectRequest>, ConnectResponse> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;
  #held: WorkerMessage[] = [];
  #soon: NodeJS.Timeout | undefined;
  readonly #beat: NodeJS.Timeout;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#client = new Client(options.coordinator, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MESSAGE_BYTES,
      'grpc.max_send_message_length': MESSAGE_BYTES,
      'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
      'grpc.keepalive_time_ms': 2 * HEARTBEAT_TIMEOUT_MS,
      'grpc.keepalive_timeout_ms': HEARTBEAT_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': FIRST_RETRY_MS,
      'grpc.max_reconnect_backoff_ms': LAST_RETRY_MS,
      // A worker has one stream; sharing a connection pool with other clients of the process would mix their fates.
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#beat = setInterval(() => {
      this.send({ $case: 'heartbeat', value: options.heartbeat() });
    }, HEARTBEAT_INTERVAL_MS);
    this.#connect();
  }

  /** Sends a message, after those that `sendSoon` holds. */
  send(message: Message): void {
    this.#stream?.write({ messages: [...this.#takeHeld(), { message }] });
  }

  /** Sends a message with the next one, or a little later. */
  sendSoon(message: Message): void {
    this.#held.push({ message });
    this.#soon ??= setTimeout(() => this.#stream?.write({ messages: this.#takeHeld() }), SOON_MS);
  }

  /** Sends a frame and what follows it as one request. Resolves when there is room for the next. */
  async sendFrame(header: FrameHeader, payload: Uint8Array, ...after: readonly Message[]): Promise<void> {
    const stream = this.#stream;
    const messages = after.map((message) => ({ message }));
    if (!stream || stream.write(encodeFrameRequest(header, payload, this.#takeHeld(), messages))) return;
    await new Promise<void>((resolve) => {
      const go = () => {
        stream.off('drain', go).off('close', go).off('end', go);
        resolve();
      };
      stream.on('drain', go).on('close', go).on('end', go);
    });
  }

  #takeHeld(): WorkerMessage[] {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const held = this.#held;
    this.#held = [];
    return held;
  }

  close(): void {
    if (this.#closed) return;
    this.#takeHeld();
    this.#closed = true;
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#stream?.end();
    this.#stream?.cancel();
    this.#client.close();
  }

  #connect(): void {
    const { path, requestSerialize, responseDeserialize } = trainingService.connect;
    const stream = this.#client.makeBidiStreamRequest<Outgoing<ConnectRequest>, ConnectResponse>(
      path,
      requestSerialize,
      responseDeserialize,
      tokenMetadata(this.#options.token),
      { waitForReady: false } as object,
    );
    this.#stream = stream;
    this.#takeHeld(); // said of a stream that is no more
    stream.write({ messages: [{ message: { $case: 'hello', value: this.#options.hello } }] });
    stream.on('data', ({ message }: ConnectResponse) => {
      this.#retryMs = FIRST_RETRY_MS;
      if (message) this.#options.onMessage(message);
    });
    stream.on('error', (error: ServiceError) => this.#broke(stream, error));
    stream.on('end', () => this.#broke(stream, undefined));
  }

  #broke(stream: object, error: ServiceError | undefined): void {
    if (this.#stream !== stream || this.#closed) return;
    this.#stream = undefined;
    const code = String(error?.metadata?.get('kasane-error')[0] ?? '');
    if (error && (error.code === status.UNAUTHENTICATED || Object.hasOwn(errorCodes, code))) {
      this.#options.onRefused(
        new KasaneError(Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'NOT_ALLOWED', error.details),
      );
      return;
    }
    // Jitter spreads the return of many workers; no result depends on it.
    const wait = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    this.#options.onBroken(error?.details ?? 'the coordinator closed the stream', wait);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }
}
