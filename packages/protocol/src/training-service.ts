/**
 * The training stream as gRPC sees it. The wire format is that of `proto/kasane/v1/training.proto`; serialisation
 * differs from the generated one in one point: bytes that are encoded already pass through, so that a parameter
 * version is encoded once, however many workers it goes to.
 */
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { encodeFrame, type FrameHeader } from './frame.ts';
import {
  ConnectRequest,
  ConnectResponse,
  TrainingService,
  type WorkerMessage,
} from './gen/kasane/v1/training.ts';

/** A message of the stream, or its protobuf encoding. */
export type Outgoing<T> = T | Buffer;

const passThrough =
  <T>(encode: (message: T) => { finish(): Uint8Array }) =>
  (message: Outgoing<T>): Buffer =>
    Buffer.isBuffer(message) ? message : asBuffer(encode(message).finish());

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export const trainingService = {
  connect: {
    ...TrainingService.connect,
    requestSerialize: passThrough(ConnectRequest.encode),
    responseSerialize: passThrough(ConnectResponse.encode),
  },
} as const;

export type ConnectHandler = handleBidiStreamingCall<ConnectRequest, Outgoing<ConnectResponse>>;

/** Length-delimited fields: `frame` has number 4 in both directions, `messages` of a request number 1. */
const FRAME_TAG = (4 << 3) | 2;
const MESSAGES_TAG = (1 << 3) | 2;
/** Bytes of a tag and of a length as `writeLength` writes them. */
const PREFIX = 5;

/** The protobuf encoding of a response whose only content is this frame, made with one copy of the payload. */
export function encodeFrameResponse(header: FrameHeader, payload: Uint8Array): Buffer {
  const message = encodeFrame(header, payload, PREFIX);
  writeLength(message, 0, FRAME_TAG, message.length - PREFIX);
  return message;
}

/** The protobuf encoding of a request: `before`, this frame, `after`; made with one copy of the payload. */
export function encodeFrameRequest(
  header: FrameHeader,
  payload: Uint8Array,
  before: readonly WorkerMessage[] = [],
  after: readonly WorkerMessage[] = [],
): Buffer {
  // Encodings of a repeated field may follow one another.
  const [head, tail] = [before, after].map((messages) =>
    ConnectRequest.encode({ messages: [...messages] }).finish(),
  ) as [Uint8Array, Uint8Array];
  const start = head.length + 2 * PREFIX;
  const message = encodeFrame(header, payload, start, tail.length);
  const end = message.length - tail.length;
  message.set(head);
  writeLength(message, head.length, MESSAGES_TAG, end - start + PREFIX);
  writeLength(message, head.length + PREFIX, FRAME_TAG, end - start);
  message.set(tail, end);
  return message;
}

/** Always four bytes of length: a padded varint is valid protobuf, and messages stay far below 2^28. */
function writeLength(message: Buffer, at: number, tag: number, length: number): void {
  message[at] = tag;
  message[at + 1] = (length & 0x7f) | 0x80;
  message[at + 2] = ((length >>> 7) & 0x7f) | 0x80;
  message[at + 3] = ((length >>> 14) & 0x7f) | 0x80;
  message[at + 4] = (length >>> 21) & 0x7f;
}
