/** Weights on their way to clients: in pieces, as fast as each reads them. The bytes of each are in memory until its reader has them. */
import type { handleServerStreamingCall } from '@grpc/grpc-js';
import type { DownloadModelResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { DOWNLOADS, DOWNLOADS_AT_ONCE, DOWNLOADS_PER_CALLER } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import { CallerTurns } from '../submit/caller-turns.ts';
import { askerOf } from './handlers.ts';
import { toServiceError } from './service-error.ts';

/** Bytes of one piece. */
const PIECE_BYTES = 256 << 10;

/** The downloads of a coordinator, whichever method they are of. */
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

  /** A method that sends what `bytesOf` returns. */
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
        // Nobody hears it where the client has gone.
        if (!call.cancelled) call.emit('error', toServiceError(error, this.#log));
      }
    };
  }
}
