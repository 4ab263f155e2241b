/** `kasane predict`: what a trained model makes of images, rows, texts and numbers. */
import { DataError } from '@kasane/data/dataset';
import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { openSession } from '../../model/backend.ts';
import { loadTrained, type Trained } from '../../model/trained.ts';
import { err, out } from '../../output/say.ts';
import { BUG, failureOf, reportFailure } from '../../process/failure.ts';
import { answerOf } from './answers.ts';
import { filesIn, isFolderOfImages, type ReadOptions, readInputs } from './inputs.ts';
import { isLikePath } from './like-path.ts';
import { type Results, resultsTo } from './results.ts';
import { fillMasks, type GenerateOptions, generate } from './text.ts';

export interface PredictOptions extends ClientOptions, ReadOptions, GenerateOptions {
  readonly json?: boolean;
  /** A CSV file. */
  readonly out?: string;
}

export async function predict(
  source: string,
  inputs: readonly string[],
  options: PredictOptions,
): Promise<void> {
  const { out } = options;
  const trained = await loadTrained(source, options);
  if (out !== undefined && isWriter(trained))
    throw new KasaneError(
      'USAGE',
      `--out: ${source} generates text, which is not a table; use --json > ${out}`,
    );
  const scoresOf = await scorer(trained);
  const isFolder = (given: string) => isFolderOfImages(trained, given);
  const results = resultsTo({ ...options, csv: inputs.some(isFolder) });
  for (const given of inputs) {
    try {
      if (isFolder(given)) {
        const { files, problems } = filesIn(given);
        for (const problem of problems) report(new KasaneError('DATA_INVALID', problem));
        for (const file of files) await answer(trained, file, options, scoresOf, results).catch(report);
      } else await answer(trained, given, options, scoresOf, results);
    } catch (error) {
      if (inputs.length === 1) throw error;
      report(error);
    }
  }
  results.close();
}

/** The others are answered all the same, as `cat` prints the files that it can read. */
function report(error: unknown): void {
  if (failureOf(error).exit === BUG) throw error;
  process.exitCode = reportFailure(error);
}

/** Whether a model writes, instead of answering. */
const isWriter = ({ preparation: { text } }: Trained): boolean =>
  text !== undefined && text.objective !== 'classification';

/** Adds what the model makes of one input. */
async function answer(
  trained: Trained,
  given: string,
  options: PredictOptions,
  scoresOf: (x: Float32Array) => Float32Array,
  results: Results,
): Promise<void> {
  if (trained.preparation.text && isLikePath(given) && kindOfPath(given) === 'nothing')
    err.lines(`${given}: file not found, so this is read as text`);
  if (isWriter(trained)) {
    write(trained, given, options, scoresOf);
    return;
  }
  for (const sample of await readInputs(trained, given, options)) {
    for (const note of sample.notes ?? []) err.write(`Note: ${note}\n`);
    const scores = scoresOf(sample.x);
    // A class may be ruled out by minus infinity.
    const least = trained.model.description.classes === undefined ? -Number.MAX_VALUE : -Infinity;
    if (!scores.every((score) => score >= least && score < Infinity))
      throw new KasaneError(
        'DATA_INVALID',
        `${sample.name}: the output of the model is not finite, so it says nothing: the weights, or the values of this input, are too large`,
      );
    results.add(answerOf(trained, sample, scores));
  }
}

/** Computes a model's output for one sample: a view that the next call overwrites. */
async function scorer({ model, parameters }: Trained): Promise<(x: Float32Array) => Float32Array> {
  const request = { mode: 'predict', samples: 1 } as const;
  const session = await openSession(model, [request]);
  session.parameters.set(parameters);
  const program = session.program(request);
  return (x) => {
    program.x.set(x);
    program.run();
    return program.logits;
  };
}

/** What a language model writes: a text that goes on, as it is written; or one whose masks are filled. */
function write(
  { preparation }: Trained,
  given: string,
  options: PredictOptions,
  scoresOf: (x: Float32Array) => Float32Array,
): void {
  const text = preparation.text!;
  const say = (piece: string) => {
    if (!options.json) out.write(piece);
  };
  try {
    const { notes, ...written } =
      text.objective === 'next-token'
        ? generate(given, text, options, scoresOf, say)
        : fillMasks(given, text, scoresOf);
    if (options.json) out.lines(JSON.stringify({ input: given, ...written }));
    else out.write(text.objective === 'next-token' ? '\n' : `${written.text}\n`);
    for (const note of notes) err.write(`Note: ${note}\n`);
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}
