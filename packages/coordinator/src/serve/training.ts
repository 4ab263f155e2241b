/** The training stream, coordinator's side: one stream a worker process; its end is the worker's end. */
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { decodeFrame } from '@kasane/protocol/frame';
import type {
  ConnectRequest,
  ConnectResponse,
  Hello,
  WorkerMessage,
} from '@kasane/protocol/gen/kasane/v1/training';
import { HEARTBEAT_TIMEOUT_MS, PROTOCOL_VERSION, WORKERS } from '@kasane/protocol/limits';
import type { ConnectHandler, Outgoing } from '@kasane/protocol/training-service';
import type { Logger } from 'pino';
import type { Run } from '../jobs/run.ts';
import type { ConnectedWorker, WorkerRegistry } from '../workers.ts';

type Stream = ServerDuplexStream<ConnectRequest, Outgoing<ConnectResponse>>;

export interface TrainingOptions {
  readonly workers: WorkerRegistry;
  /** Where workers find Redis. */
  readonly redisUrl: string;
  /** The run under way, if any. */
  readonly run: () => Run | undefined;
  readonly log: Logger;
}

/** Handles `Training.Connect`. A message that does not fit ends that worker's stream and nothing else. */
export function trainingHandler(options: TrainingOptions): ConnectHandler {
  return (stream) => {
    const session = new Session(stream, options);
    stream.on('data', (message: ConnectRequest) => session.receive(message));
    stream.on('end', () => session.close('closed its stream'));
    stream.on('error', (error: Error) => session.close(error.message));
    stream.on('cancelled', () => session.close('its connection broke'));
    stream.on('close', () => session.close('its connection broke'));
  };
}

class Session {
  readonly #stream: Stream;
  readonly #options: TrainingOptions;
  readonly #silence: NodeJS.Timeout;
  #worker: ConnectedWorker | undefined;
  #closed = false;
  #heardAt = performance.now();
  /** The version to send once the stream has room again. */
  #pending: readonly Buffer[] | undefined;

  constructor(stream: Stream, options: TrainingOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#silence = setInterval(() => {
      const silent = performance.now() - this.#heardAt;
      if (silent > HEARTBEAT_TIMEOUT_MS) this.close(`silent for ${(silent / 1000).toFixed(1)} s`);
    }, HEARTBEAT_TIMEOUT_MS / 4);
    stream.on('drain', () => this.#flush());
  }

  receive({ messages }: ConnectRequest): void {
    this.#heardAt = performance.now();
    for (const message of messages) this.#one(message);
  }

  #one({ message }: WorkerMessage): void {
    if (this.#closed) return;
    try {
      if (!message) throw new KasaneError('PROTOCOL', 'an empty message, or one of a later protocol');
      if (message.$case === 'hello') {
        this.#hello(message.value);
        return;
      }
      const worker = this.#worker;
      if (!worker) throw new KasaneError('PROTOCOL', `'${message.$case}' before 'hello'`);
      const run = this.#options.run();
      switch (message.$case) {
        case 'heartbeat':
          break;
        case 'frame': {
          const { header, payload } = decodeFrame(message.value);
          if (header.kind !== 'gradient')
            throw new KasaneError('PROTOCOL', `a worker sends no '${header.kind}' frame`);
          if (run?.id === header.job) run.gradient(worker.id, header, payload);
          break;
        }
        case 'claim': {
          const { task } = message.value;
          if (task && run?.id === task.job) run.board.claimed(worker.id, task);
          break;
        }
        case 'result': {
          const { task } = message.value;
          if (task && run?.id === task.job && run.board.answered(worker.id, task, message.value))
            worker.tasksDone++;
          break;
        }
        case 'failure': {
          const { task } = message.value;
          if (task && run?.id === task.job) run.board.failed(worker.id, task, message.value);
          break;
        }
        case 'drain':
          worker.draining = true;
          break;
      }
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Ends the session; whatever the worker held is handed out again. Safe to call more than once. */
  close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#silence);
    const worker = this.#worker;
    if (worker && this.#options.workers.remove(worker)) {
      this.#options.log.info(`worker ${worker.id} is gone: ${why}`);
      this.#options.run()?.workerLeft(worker.id);
    }
    this.#stream.end();
    this.#stream.destroy();
  }

  #hello(hello: Hello): void {
    const { workers, redisUrl, log, run } = this.#options;
    if (this.#worker) throw new KasaneError('PROTOCOL', "a second 'hello' on one stream");
    if (hello.protocol !== PROTOCOL_VERSION) {
      const what = `worker speaks protocol ${hello.protocol}, the coordinator ${PROTOCOL_VERSION}`;
      throw new KasaneError('PROTOCOL', `${what}: install the same version of Kasane on both`);
    }
    if (!/^[\w.:-]{1,128}$/.test(hello.worker))
      throw new KasaneError('PROTOCOL', 'worker ids are 1 to 128 letters, digits and .:_-');
    if (workers.size >= WORKERS)
      throw new KasaneError('LIMIT', `${WORKERS} workers are connected, the limit`);
    // The worker is back before its old stream was seen to break: what it held there is lost.
    if (workers.get(hello.worker)) run()?.workerLeft(hello.worker);
    const worker: ConnectedWorker = {
      id: hello.worker,
      host: hello.host,
      slots: hello.slots,
      backend: hello.backend,
      connectedAt: Date.now(),
      draining: false,
      tasksDone: 0,
      send: (message) => this.#stream.write({ message }),
      publish: (messages) => {
        this.#pending = messages;
        if (!this.#stream.writableNeedDrain) this.#flush();
      },
    };
    this.#worker = worker;
    workers.add(worker);
    log.info(
      `worker ${worker.id} joined with ${worker.slots} ${worker.slots === 1 ? 'slot' : 'slots'} (${worker.backend})`,
    );
    worker.send({ $case: 'welcome', value: { redisUrl, heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS } });
    run()?.workerJoined(worker);
  }

  #flush(): void {
    const messages = this.#pending;
    if (!messages || this.#closed) return;
    this.#pending = undefined;
    for (const message of messages) this.#stream.write(message);
  }

  #refuse(error: unknown): void {
    const code = error instanceof KasaneError ? error.code : 'PROTOCOL';
    this.#options.log.warn(`worker ${this.#worker?.id ?? '(unnamed)'} is cut off: ${messageOf(error)}`);
    const metadata = new Metadata();
    metadata.set('kasane-error', code);
    this.#stream.emit('error', { code: errorCodes[code].grpc, details: messageOf(error), metadata });
    this.close(messageOf(error));
  }
}
