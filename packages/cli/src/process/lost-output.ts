/** What becomes of a command whose output is read by nobody any more, as in `kasane logs JOB -f | head`, or cannot be written. */
import { constants } from 'node:os';
import { err } from '../output/say.ts';

/** Exit code of a failed write (sysexits.h). */
const IO = 74;

/** These serve others, or train: a reader that left is no reason to end them. */
const lasting = new Set(['coordinator', 'worker', 'dashboard', 'train', 'sweep']);

/** What a write says when nobody can read it: the pipe, the file descriptor or the terminal is no more. */
const gone = new Set(['EPIPE', 'EBADF', 'EIO', 'ENXIO']);

/** The same where the disk is full that it goes to. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Ends this process quietly when its reader has gone, with the code that shells give to it; `command` may be one that goes on. */
export function endWithReader(command: string | undefined): void {
  const goesOn = lasting.has(command ?? '') && !process.argv.includes('--help');
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const { code = '' } = error;
      if (full.has(code) && goesOn) {
        if (stream === process.stdout) lost(code);
      } else if (!gone.has(code)) throw error;
      else if (!goesOn) process.exit(128 + constants.signals.SIGPIPE);
    });
  }
}

let isTold = false;
/** Says once that results are not where they should be, and has the exit code say it; what else the command does, it does. */
function lost(code: string): void {
  if (isTold) return;
  isTold = true;
  process.on('exit', (exit) => {
    if (exit === 0) process.exitCode = IO;
  });
  err.lines(
    `kasane: standard output cannot be written (${code}): what is printed there is lost, files are written as usual; free up space on its disk`,
  );
}
