/** Downloads of weights, in chunks at the speed of each client. The bytes of each stay in memory until its client has read them. */
import type { handleServerStreamingCall } from '@grpc/grpc-js';
import type { DownloadModelResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { DOWNLOADS, DOWNLOADS_AT_ONCE, DOWNLOADS_PER_CALLER } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import { CallerTurns } from '../submit/caller-turns.ts';
import { askerOf } from './handlers.ts';
import { toServiceError } from './service-error.ts';

/** Bytes per chunk. */
const PIECE_BYTES = 256 << 10;

/** All downloads of a coordinator, whatever their method. */
export class Downloads {
  readonly #log: Logger;
  readonly #turns = new CallerTurns({
    what: 'downloads',
    atOnce: DOWNLOADS_AT_ONCE,
    perCaller: DOWNLOADS_PER_CALLER,
    all: DOWNLOADS,
  });

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Makes a handler that sends what `bytesOf` returns. */
  of<Request>(
    bytesOf: (request: Request) => Promise<Uint8Array>,
  ): handleServerStreamingCall<Request, DownloadModelResponse> {
    return async (call) => {
      try {
        await this.#turns.run(askerOf(call), async () => {
          const bytes = await bytesOf(call.request);
          for (let start = 0; start < bytes.length && !call.cancelled; start += PIECE_BYTES) {
            const more = call.write({ data: bytes.subarray(start, start + PIECE_BYTES) });
            if (!more) await new Promise((resolve) => call.once('drain', resolve).once('close', resolve));
          }
        });
        call.end();
      } catch (error) {
        // If the client has gone, nobody is listening.
        if (!call.cancelled) call.emit('error', toServiceError(error, this.#log));
      }
    };
  }
}
