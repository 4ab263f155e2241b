/** How errors go out of the services that users call: with the code of the protocol package's table. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import type { Logger } from 'pino';

/** What a failed call tells its caller. What is not a KasaneError is our fault: it is logged, and no detail goes out. */
export function toServiceError(error: unknown, log: Logger): ServiceError {
  const metadata = new Metadata();
  if (error instanceof KasaneError) {
    metadata.set('kasane-error', error.code);
    // It travels in a header, which HTTP/2 bounds, and may name what somebody has sent.
    const details = brief(error.message, ERROR_TEXT);
    return Object.assign(new Error(details), { code: errorCodes[error.code].grpc, details, metadata });
  }
  log.error({ error }, `a call failed: ${messageOf(error)}`);
  const details = 'the coordinator failed to answer; see its log';
  return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata });
}
