/** Logs on standard error: for people, or an object a line for programs. */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { printable, printableLine } from '@kasane/protocol/internal/events/plain-text';
import { type Logger, pino, stdTimeFunctions } from 'pino';
import type pretty from 'pino-pretty';
import type { LogFormat, LogLevel } from '../program/options.ts';
import { isScreen } from './terminal.ts';

/** @param write takes the lines for people, where something else is drawn on standard error */
export function makeLog(
  level: LogLevel,
  format: LogFormat = 'text',
  write?: (lines: string) => void,
): Logger {
  if (format === 'json') {
    // What Loki, Elasticsearch and their like read without being told: a word for the level, a date.
    const formatters = { level: (label: string) => ({ level: label }) };
    const cleaned = { write: (line: string) => writeQuietly(printable(line)) };
    return pino({ level, formatters, timestamp: stdTimeFunctions.isoTime }, cleaned);
  }
  let stream: pretty.PrettyStream | undefined;
  return pino(
    { level },
    {
      write(line: string) {
        stream ??= prettyTo(write ?? writeQuietly);
        stream.write(cleaned(line));
      },
    },
  );
}

const require = createRequire(import.meta.url);

/** Most commands that log for people have nothing to log: what formats lines is loaded with the first, and before that is written. */
const prettyTo = (write: (text: string) => void): pretty.PrettyStream =>
  (require('pino-pretty') as typeof pretty)({
    destination: writableTo(write),
    sync: true,
    colorize: isScreen(process.stderr) && !process.env.NO_COLOR,
    // People read the sentence of a reason.
    ignore: 'pid,hostname,code,args',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });

/** A line of JSON whose texts are shown as they are: without what terminals take for orders, which JSON may have
 * escaped, and a message on one line. */
function cleaned(line: string): string {
  if (!/\\[ubfnrt]/.test(line)) return printable(line);
  const shown = (key: string, value: unknown) =>
    typeof value !== 'string' ? value : key === 'msg' ? printableLine(value) : printable(value);
  return `${JSON.stringify(JSON.parse(line), shown)}\n`;
}

/** So often a reader that is slow is given time, */
const TRIES = 100;
/** of so many milliseconds. */
const TRY_MS = 10;
const clock = new Int32Array(new SharedArrayBuffer(4));

/** Writes to standard error; where nobody can read that any more, the lines are lost, and nothing else is. */
function writeQuietly(lines: string): void {
  let left = Buffer.from(lines);
  for (let tries = 0; left.length > 0 && tries < TRIES; tries++) {
    try {
      left = left.subarray(writeSync(2, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(clock, 0, 0, TRY_MS);
    }
  }
}

const writableTo = (write: (text: string) => void) =>
  new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      write(text);
      done();
    },
  });
