/** `kasane init`: a job file for data that is there, by looking at it and asking what can not be seen. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { parse } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { checkSteps } from '@kasane/coordinator/internal/submit/check-training';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import type { DataParts } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { openRegular } from '@kasane/data/internal/files/regular-file';
import { markedEncoding } from '@kasane/data/internal/text/decode-text';
import { openTokenizer } from '@kasane/data/internal/text/tokenizer';
import { KasaneError } from '@kasane/protocol/errors';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { NAME_LENGTH, nameFrom } from '@kasane/protocol/internal/job/job-name';
import { parseJobFile } from '@kasane/protocol/job-file';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { unwritable } from '../../files/output-file.ts';
import { placeFromHere } from '../../files/read-job.ts';
import { writeFile } from '../../files/write-file.ts';
import { err, out } from '../../output/say.ts';
import { count } from '../../render/count.ts';
import { asData, openSound } from '../data/data.ts';
import { guessFormat } from '../data/guess-format.ts';
import { settingsOf } from '../data/settings.ts';
import { guessTable } from './table.ts';
import { shellWord } from './texts.ts';

export interface InitOptions {
  readonly data?: string;
  readonly target?: string;
  readonly size?: number;
  readonly epochs?: number;
  /** key=value of the data section. */
  readonly set?: readonly string[];
  /** Nothing is asked. */
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Columns that a line lists. */
const NAMED = 20;

/** A question with its default; without a terminal, or with --yes, the default is the answer. */
type Ask = (question: string, suggestion: string) => Promise<string>;

export async function init(file: string, options: InitOptions): Promise<void> {
  if (existsSync(file) && !options.force) {
    throw new KasaneError('USAGE', `${file} already exists: give another name, or --force to overwrite it`);
  }
  const terminal =
    !options.yes && process.stdin.isTTY ? createInterface(process.stdin, process.stderr) : undefined;
  const ask: Ask = async (question, suggestion) =>
    (await terminal?.question(`${question}${suggestion === '' ? '' : ` [${suggestion}]`}: `))?.trim() ||
    suggestion;
  const guesses: string[] = [];
  try {
    const place =
      options.data ?? (await ask('Data: a folder of images, a CSV file or text (empty for MNIST)', ''));
    const section = await dataSection(place, options, ask, guesses);
    const { data, parts } = await openSound(section);
    const { preset, why } = presetFor(parts, data);
    const epochs = options.epochs ?? (await askNumber(ask, 'Epochs', '10'));
    const name = nameOf(file, preset.preset, guesses);
    const training = { epochs, batch: 64, shards: 4, learningRate: 0.001 };
    const job = { name, model: preset, data, training };
    const notes = [...guesses, ...kindsOf(parts), ...(parts.notes ?? [])];
    const text = [why, ...notes]
      .map((line) => `# ${printableLine(line)}`)
      .concat(yaml(job))
      .join('\n');
    // Said before anything is written: a file that does not run would be no help.
    const checked = parseJobFile(text, file);
    checkSteps(checked, await loadData(checked, anywhere));
    write(file, `${text}\n`);
    const lines = [
      `Wrote ${file}: ${why}`,
      ...notes.map((note) => `Note: ${note}`),
      `Train it with: kasane train ${shellWord(file)}`,
    ];
    out.lines(...(options.json ? [JSON.stringify({ file, why, notes, job })] : lines));
  } catch (error) {
    // What fails may follow from a wrong guess.
    if (error instanceof KasaneError) err.lines(...guesses.map((guess) => `Note: ${printableLine(guess)}`));
    if (error instanceof KasaneError && error.code === 'DATA_INVALID')
      throw new KasaneError(error.code, asFlags(error.message), { cause: error });
    // Ctrl-C, or Ctrl-D, at a question.
    if ((error as NodeJS.ErrnoException).code !== 'ABORT_ERR') throw error;
    err.write('\nnothing was written\n');
    process.exitCode = 128 + constants.signals.SIGINT;
  } finally {
    terminal?.close();
  }
}

function write(file: string, text: string): void {
  try {
    writeFile(text, file);
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** Asks until the answer is a whole number above 0. */
async function askNumber(ask: Ask, question: string, suggestion: string): Promise<number> {
  for (;;) {
    const answer = await ask(question, suggestion);
    if (/^[1-9]\d{0,8}$/.test(answer)) return Number(answer);
    err.write(`'${answer}': expected a whole number above 0\n`);
  }
}

/** The first half of a character that UTF-16 writes in two, where the second is cut off. */
const HALF = /[\ud800-\udbff]$/;

/**
 * A job's name after its file, by which its weights are called: `photos.yaml` trains `photos.safetensors`. Of a name that may not be one as
 * it is, a few digits tell it from others.
 */
export function nameOf(file: string, preset: string, guesses: string[]): string {
  const whole = parse(file).name.normalize('NFC');
  // job.yaml, the default, names nothing.
  if (whole === 'job') return preset;
  const allowed = nameFrom(whole);
  if (allowed.length > 0 && allowed.length <= NAME_LENGTH) return allowed;
  const digits = createHash('sha256').update(whole).digest('hex').slice(0, 6);
  const start = (allowed || preset).slice(0, NAME_LENGTH - 1 - digits.length).replace(HALF, '');
  const name = `${start}-${digits}`;
  guesses.push(
    `the job is called ${name}, since names consist of letters, digits, '.', '-' and '_', at most ${NAME_LENGTH} (name)`,
  );
  return name;
}

/** A job's data section for what lies at a path. @param guesses takes a sentence each, also where it rejects */
export async function dataSection(
  place: string,
  { target, size, set = [] }: InitOptions,
  ask: Ask,
  guesses: string[],
): Promise<{ format: string } & Record<string, unknown>> {
  if (place === '') {
    refuseFlags('MNIST', { target, size });
    return { format: 'idx' };
  }
  const path = placeFromHere(place);
  const said = settingsOf(set);
  const marked = 'encoding' in said ? undefined : await encodingOf(path);
  const given: Readonly<Record<string, unknown>> =
    marked === undefined ? said : { ...said, encoding: marked };
  const { section, note, doubt } = await guessFormat(path);
  if (doubt !== undefined && !('format' in given)) throw new KasaneError('DATA_INVALID', doubt);
  const format = String(given.format ?? section.format);
  const seen = format === section.format ? section : { format };
  if (note !== undefined && !('format' in given)) guesses.push(note);
  if (marked !== undefined) guesses.push(`its byte order mark says ${marked} (data.encoding)`);
  // A text of which columns are named is a table.
  const texts = 'text' in given || 'label' in given || given.objective === 'classification';
  if (
    format === 'csv' ||
    format === 'series' ||
    (format === 'text' && texts && kindOfPath(path) === 'file')
  ) {
    refuseFlags(`${place}, which is a table,`, { size });
    if (target !== undefined && 'target' in given && given.target !== target)
      throw new KasaneError(
        'USAGE',
        `--target ${target} and --set target contradict each other: remove one of them`,
      );
    const askTarget = (columns: readonly string[], suggestion: string) =>
      ask(`Column to predict (${columns.join(', ')})`, suggestion);
    return guessTable(path, given, target?.normalize('NFC'), askTarget, guesses);
  }
  if (format === 'imagefolder') {
    refuseFlags(`${place}, a folder of images,`, { target });
    const side = size ?? given.size ?? (await askNumber(ask, 'Side length of images in pixels', '64'));
    return { path, ...seen, ...given, size: side };
  }
  refuseFlags(`${place}, which is read as ${format},`, { target, size });
  return { ...seen, ...given, path };
}

/** The encoding of a file that begins with the mark of one. */
async function encodingOf(path: string): Promise<string | undefined> {
  if (kindOfPath(path) !== 'file') return undefined;
  const file = await asData(() => openRegular(path));
  try {
    return markedEncoding(await file.read(0, 2));
  } finally {
    await file.close();
  }
}

/** What the readers advise, as an option of this command. */
const asFlags = (text: string): string =>
  text
    .replace(/\bdata\.(\w+(?:\.\w+)?): ('[^']*'|"[^"]*"|[\w-]+)/g, '--set $1=$2')
    .replace(/\b([Ss])et --set/g, (_, first) => `${first === 'S' ? 'P' : 'p'}ass --set`);

/** @throws KasaneError USAGE when something was said that data of this kind does not have: it would be ignored */
function refuseFlags(place: string, flags: Readonly<Record<string, unknown>>): void {
  const [flag] = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (flag === undefined) return;
  const meant =
    flag === 'target' ? 'names a column of a table or a series' : 'sets the side length of images';
  throw new KasaneError('USAGE', `--${flag} ${meant}, but ${place} has none: remove it`);
}

/** Which columns of a table were taken for what. */
function kindsOf({ preparation: { table } }: DataParts): string[] {
  const kinds = Map.groupBy(table?.columns ?? [], ({ kind }) => kind);
  const named = [...kinds].map(([kind, columns]) => {
    const names = columns.map(({ name }) => (name === '' ? "''" : name));
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
    return `${kind}: ${names.slice(0, NAMED).join(', ')}${more}`;
  });
  return named.length > 0 ? [`columns by ${named.join('; ')} (data.columns)`] : [];
}

interface Chosen {
  readonly preset: { readonly preset: string } & Readonly<Record<string, unknown>>;
  /** What was seen, and what was chosen for it. */
  readonly why: string;
}

/** A preset that fits the data. */
function presetFor(
  { train, preparation }: DataParts,
  data: { readonly format: string; readonly label?: unknown },
): Chosen {
  const { input, target, classes } = train;
  const { table, series, text } = preparation;
  const samples = count(train.samples, 'sample');
  if (text && text.objective === 'next-token') {
    const why = `${samples} of ${count(text.context, 'token')}, ${classes} different ones: a small GPT`;
    return { preset: { preset: 'gpt', tokens: classes, context: text.context }, why };
  }
  if (text?.objective === 'classification') {
    const kinds = preparation.classes!.length;
    const where =
      data.label === undefined
        ? `${kinds} class folders: an LSTM that classifies them (set data.objective: next-token for a model that generates text)`
        : `${kinds} classes: an LSTM that classifies them`;
    const why = `${count(train.samples, 'text')} in ${where}`;
    const sizes = {
      classes: preparation.classes!.length,
      tokens: openTokenizer(text.tokenizer).size,
      context: text.context,
    };
    return { preset: { preset: 'lstm-text', ...sizes }, why };
  }
  if (table) {
    const task = table.classes ? 'classification' : 'regression';
    const outputs = table.classes?.length ?? target.shape[0]!;
    const features = input.shape[0]!;
    const why = `${samples} of ${count(features, 'feature')}, ${table.classes ? `${outputs} classes` : 'numbers to predict'}`;
    return { preset: { preset: 'tabular', features, task, outputs }, why };
  }
  if (series) {
    const [window, features] = input.shape;
    const why = `${samples} of ${count(window!, 'step')}: an LSTM that predicts the next`;
    return { preset: { preset: 'lstm-forecast', window, features, horizon: target.shape[0] }, why };
  }
  const [height = 0, width = 0, channels = 1] = input.shape;
  if (input.dtype === 'u8' && classes !== undefined && width > 0) {
    if (data.format === 'idx' && height === 28 && width === 28) {
      return {
        preset: { preset: 'mnist-cnn', classes },
        why: `${samples} of 28 x 28 pixels: two convolutions`,
      };
    }
    const stem = height <= 96 ? 'cifar' : 'imagenet';
    const why = `${samples} of ${height} x ${width} pixels, ${classes} classes: a ResNet-18`;
    return { preset: { preset: 'resnet-18', classes, image: [height, width], channels, stem }, why };
  }
  throw new KasaneError(
    'DATA_INVALID',
    `no preset fits ${data.format} data of this kind; see kasane models, and write the job file by hand`,
  );
}

/** Text that YAML takes for text as it stands. */
const plain = (value: unknown): value is string =>
  typeof value === 'string' &&
  /^[a-z/][\w./-]*$/i.test(value) &&
  !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);

/** Lines of YAML for nested objects whose leaves are JSON, or plain text. */
function yaml(value: Readonly<Record<string, unknown>>, indent = ''): string[] {
  return Object.entries(value).flatMap(([name, content]) => {
    const key = plain(name) ? name : JSON.stringify(name);
    return typeof content === 'object' && content !== null && !Array.isArray(content)
      ? [`${indent}${key}:`, ...yaml(content as Readonly<Record<string, unknown>>, `${indent}  `)]
      : [`${indent}${key}: ${plain(content) ? content : JSON.stringify(content)}`];
  });
}
