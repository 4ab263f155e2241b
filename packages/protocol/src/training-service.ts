/**
 * The training stream as gRPC sees it. The wire format is that of `proto/kasane/v1/training.proto`; serialisation
 * differs from the generated one in one point: bytes that are encoded already pass through, so that a parameter
 * version is encoded once, however many workers it goes to.
 */
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import { encodeFrame, type FrameHeader } from './frame.ts';
import { ConnectRequest, ConnectResponse, TrainingService } from './gen/kasane/v1/training.ts';

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

/** Field 4, length-delimited: `frame` has this number in both directions. */
const FRAME_TAG = (4 << 3) | 2;

/** The protobuf encoding of a message (either direction) whose only content is this frame, made with one copy of the payload. */
export function encodeFrameMessage(header: FrameHeader, payload: Uint8Array): Buffer {
  // A length below 2^28 takes at most four varint bytes; a fixed four-byte varint (padded) is valid protobuf.
  const message = encodeFrame(header, payload, 5);
  const length = message.length - 5;
  message[0] = FRAME_TAG;
  message[1] = (length & 0x7f) | 0x80;
  message[2] = ((length >>> 7) & 0x7f) | 0x80;
  message[3] = ((length >>> 14) & 0x7f) | 0x80;
  message[4] = (length >>> 21) & 0x7f;
  return message;
}
