/** Converts errors of user-facing services to gRPC errors, with the codes of the protocol package. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import type { Logger } from 'pino';

/** The gRPC error for a failed call. Anything but a KasaneError is a bug: it is logged, and its details are not sent. */
export function toServiceError(error: unknown, log: Logger): ServiceError {
  const metadata = new Metadata();
  if (error instanceof KasaneError) {
    metadata.set('kasane-error', error.code);
    // It travels in an HTTP/2 header of limited size, and may quote what a client sent.
    const details = brief(error.message, ERROR_TEXT);
    return Object.assign(new Error(details), { code: errorCodes[error.code].grpc, details, metadata });
  }
  log.error({ error }, `a call failed: ${messageOf(error)}`);
  const details = 'the coordinator failed to answer; see its log';
  return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata });
}
