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
import { type ReadOptions, readInputs } from './inputs.ts';
import { isLikePath } from './like-path.ts';
import { fillMasks, type GenerateOptions, generate } from './text.ts';

export interface PredictOptions extends ClientOptions, ReadOptions, GenerateOptions {
  readonly json?: boolean;
}

export async function predict(
  source: string,
  inputs: readonly string[],
  options: PredictOptions,
): Promise<void> {
  const trained = await loadTrained(source, options);
  const scoresOf = await scorer(trained);
  for (const given of inputs) {
    try {
      await answer(trained, given, options, scoresOf);
    } catch (error) {
      // The others are answered all the same, as `cat` prints the files that it can read.
      if (inputs.length === 1 || failureOf(error).exit === BUG) throw error;
      process.exitCode = reportFailure(error);
    }
  }
}

/** Prints what the model makes of one argument. */
async function answer(
  trained: Trained,
  given: string,
  options: PredictOptions,
  scoresOf: (x: Float32Array) => Float32Array,
): Promise<void> {
  const { text } = trained.preparation;
  if (text && isLikePath(given) && kindOfPath(given) === 'nothing')
    err.lines(`${given}: file not found, so this is read as text`);
  if (text && text.objective !== 'classification') {
    write(trained, given, options, scoresOf);
    return;
  }
  for (const sample of await readInputs(trained, given, options)) {
    for (const note of sample.notes ?? []) err.write(`Note: ${note}\n`);
    const { record, line } = answerOf(trained, sample, scoresOf(sample.x));
    out.lines(options.json ? JSON.stringify(record) : line);
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
