/** What becomes of a command whose output nobody reads any more, as in `kasane logs JOB -f | head`. */
import { constants } from 'node:os';

/** These serve others, or train: a reader that left is no reason to end them. */
const lasting = new Set(['coordinator', 'worker', 'dashboard', 'train']);

/** What a write says when nobody can read it: the pipe, the file descriptor or the terminal is no more. */
const gone = new Set(['EPIPE', 'EBADF', 'EIO', 'ENXIO']);

/** Ends this process quietly when its reader has gone, with the code that shells give to it; `command` may be one that goes on. */
export function endWithReader(command: string | undefined): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!gone.has(error.code ?? '')) throw error;
      if (!lasting.has(command ?? '') || process.argv.includes('--help'))
        process.exit(128 + constants.signals.SIGPIPE);
    });
  }
}
