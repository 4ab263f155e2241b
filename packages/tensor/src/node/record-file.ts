/**
 * A file of records beside what a program is really for, as a log: when the disk refuses a record, or somebody deletes the file, the
 * program goes on, and says so once.
 */
import {
  closeSync,
  existsSync,
  constants as fs,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { makeFolders } from './make-folders.ts';
import { systemWords } from './system-errors.ts';

export interface RecordFileOptions {
  /** What each file begins with. */
  readonly head: Uint8Array;
  /** Hears once, as the beginning of a sentence, that records are lost, and once that the file is made again. */
  readonly onTrouble: (what: string) => void;
}

export class RecordFile {
  readonly #path: string;
  readonly #options: RecordFileOptions;
  readonly #said = new Set<string>();
  #isClosed = false;
  /** Undefined: there is none at the moment. */
  #file: number | undefined;
  /** Bytes of whole records. */
  #size = 0;

  /** @throws the system's error, with the path, when the file cannot be begun */
  constructor(path: string, options: RecordFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#begin(fs.O_TRUNC);
  }

  /** A record is written at once and whole, or not at all: a reader never trips over half of one. */
  write(record: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      if (this.#file === undefined || fstatSync(this.#file).nlink === 0) {
        this.#release();
        this.#begin();
        this.#say('deleted', `${this.#path} was deleted, and is written anew`);
      }
      this.#append(record);
    } catch (error) {
      this.#refused(error);
    }
  }

  /** Safe to call twice. */
  close(): void {
    this.#isClosed = true;
    try {
      this.#release();
    } catch (error) {
      this.#refused(error);
    }
  }

  #release(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file);
  }

  #begin(flags = 0): void {
    const isNew = !existsSync(this.#path);
    try {
      makeFolders(dirname(this.#path));
      this.#file = openSync(this.#path, fs.O_WRONLY | fs.O_CREAT | fs.O_APPEND | flags);
      this.#size = fstatSync(this.#file).size;
      this.#append(this.#options.head);
    } catch (error) {
      this.#release();
      if (isNew) rmSync(this.#path, { force: true });
      throw Object.assign(error as Error, { path: this.#path });
    }
  }

  #append(record: Uint8Array): void {
    const file = this.#file!;
    try {
      for (let left = record; left.length > 0; ) left = left.subarray(writeSync(file, left));
      this.#size += record.length;
    } catch (error) {
      this.#cut(file);
      throw error;
    }
  }

  /** Takes away what a full disk has kept of a record. */
  #cut(file: number): void {
    try {
      ftruncateSync(file, this.#size);
    } catch {
      // It is a pipe or a device.
    }
  }

  #refused(error: unknown): void {
    this.#say('refused', `${this.#path}: ${systemWords(error) ?? String(error)}`);
  }

  #say(kind: string, what: string): void {
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    this.#options.onTrouble(what);
  }
}
