/** A command in a terminal, as somebody who watches sees it: util-linux' `script` gives it the terminal, xterm.js is its screen. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import xterm from '@xterm/headless';

/** What the screen shows from a moment on. */
export interface Frame {
  /** Seconds since the command was started. */
  readonly at: number;
  readonly rows: readonly string[];
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Runs a command of the shell to its end. @param folder for the log, its own
 * @throws Error when it fails
 */
export async function runInTerminal(
  command: string,
  { columns, rows }: Size,
  folder: string,
): Promise<Frame[]> {
  const [log, timing] = [join(folder, 'log'), join(folder, 'timing')];
  const sized = `stty cols ${columns} rows ${rows}; ${command}`;
  const args = ['--quiet', '--return', '--log-out', log, '--log-timing', timing, '--command', sized];
  const running = promisify(execFile)('script', args, { env: { ...process.env, TERM: 'xterm-256color' } });
  running.child.stdin!.end();
  await running;
  return replay(readFileSync(log), readFileSync(timing, 'utf8'), { columns, rows });
}

/** The frames of a log of `script`: a line about the log itself, then what was written, of which `timing` has a line a piece. */
export async function replay(log: Buffer, timing: string, { columns, rows }: Size): Promise<Frame[]> {
  const screen = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const frames: Frame[] = [];
  let at = 0;
  let from = log.indexOf('\n') + 1;
  for (const line of timing.trim().split('\n')) {
    const [delay, bytes] = line.split(' ').map(Number);
    at += delay!;
    const piece = log.subarray(from, from + bytes!);
    from += bytes!;
    await new Promise<void>((done) => screen.write(piece, done));
    frames.push({ at, rows: shown(screen) });
  }
  screen.dispose();
  return frames;
}

function shown({ buffer: { active }, rows }: xterm.Terminal): string[] {
  const lines = Array.from({ length: rows }, (_, row) => active.getLine(active.viewportY + row)!);
  return lines.map((line) => line.translateToString(true));
}
