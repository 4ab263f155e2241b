/** Logs on standard error: for people, or an object a line for programs. */
import { Writable } from 'node:stream';
import { printable } from '@kasane/protocol/plain-text';
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';
import type { LogFormat, LogLevel } from './options.ts';

/** @param write takes the lines for people, where something else is drawn on standard error */
export function makeLog(
  level: LogLevel,
  format: LogFormat = 'text',
  write?: (lines: string) => void,
): Logger {
  if (format === 'json') {
    // What Loki, Elasticsearch and their like read without being told: a word for the level, a date.
    const formatters = { level: (label: string) => ({ level: label }) };
    const stream = destination({ fd: 2, sync: true });
    const cleaned = { write: (line: string) => stream.write(printable(line)) };
    return pino({ level, formatters, timestamp: stdTimeFunctions.isoTime }, cleaned);
  }
  const stream = pretty({
    destination: write ? writableTo(write) : 2,
    sync: true,
    colorize: process.stderr.isTTY === true && !process.env.NO_COLOR,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return pino({ level }, { write: (line: string) => stream.write(cleaned(line)) });
}

/** A line of JSON whose texts are shown as they are: without what terminals take for orders, which JSON may have escaped. */
function cleaned(line: string): string {
  if (!/\\[ubfr]/.test(line)) return printable(line);
  return `${JSON.stringify(JSON.parse(line), (_, value: unknown) => (typeof value === 'string' ? printable(value) : value))}\n`;
}

const writableTo = (write: (text: string) => void) =>
  new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      write(text);
      done();
    },
  });
