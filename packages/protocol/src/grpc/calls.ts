/** Calls of methods by their generated definitions: a promise for one answer, an async iterator or a listener for several. */
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientReadableStream,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';

const DEADLINE_MS = 10_000;
/** Of calls for which the coordinator reads data first, in milliseconds. */
export const READING_DEADLINE_MS = 600_000;

/** What a generated service says of a method. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface CallsOptions {
  /** host:port */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly channel: ChannelOptions;
  /** What each call carries. */
  readonly metadata: () => Metadata;
  /** The error that a failed call is told as. @param hasAnswered whether an answer had come before */
  readonly explain: (error: ServiceError, hasAnswered?: boolean) => Error;
}

export class Calls {
  readonly #client: Client;
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#client = new Client(options.address, options.credentials, options.channel);
  }

  close(): void {
    this.#client.close();
  }

  /** The answer of a method that has one. */
  one<Request, Response>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> {
    const { metadata, explain } = this.#options;
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs };
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata(),
        options,
        (error, response) => (error ? reject(explain(error)) : resolve(response!)),
      );
    });
  }

  /** The answers of a method that has several. Whoever stops reading ends the call. */
  async *many<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal?: AbortSignal,
  ): AsyncGenerator<Response> {
    const stream = this.#stream(method, request);
    const cancel = () => stream.cancel();
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel);
    let hasAnswered = false;
    try {
      for await (const response of stream) {
        hasAnswered = true;
        yield response as Response;
      }
    } catch (error) {
      throw this.#options.explain(error as ServiceError, hasAnswered);
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancel();
    }
  }

  /** The same: calls `listener` with each answer and `ended` when no more come, until the returned function is called. */
  listen<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    listener: (response: Response) => void,
    ended: () => void,
  ): () => void {
    const stream = this.#stream(method, request);
    stream.on('data', listener);
    onceEnded(stream, ended);
    return () => stream.cancel();
  }

  #stream<Request, Response>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
  ): ClientReadableStream<Response> {
    const metadata = this.#options.metadata();
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
    );
  }
}

/** The pages of a list, one after the other. @param ask for the page behind the one whose token this is */
export async function* pagesOf<Page extends { readonly nextPageToken: string }>(
  ask: (pageToken: string) => Promise<Page>,
): AsyncGenerator<Page> {
  for (let pageToken = ''; ; ) {
    const page = await ask(pageToken);
    yield page;
    pageToken = page.nextPageToken;
    if (pageToken === '') return;
  }
}

/** What comes in pieces, put together. */
export async function bytesOf(answers: AsyncIterable<{ readonly data: Uint8Array }>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const { data } of answers) pieces.push(data);
  return Buffer.concat(pieces);
}

/** Calls back when a stream has ended, in whatever way: one that fails says both that and that it has ended. */
function onceEnded(stream: ClientReadableStream<unknown>, ended: () => void): void {
  let hasEnded = false;
  const end = () => {
    if (hasEnded) return;
    hasEnded = true;
    ended();
  };
  stream.on('error', end);
  stream.on('end', end);
}
