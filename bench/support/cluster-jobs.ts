/** The rows of bench/rows.ts as jobs for a cluster, on noise: how fast something is does not depend on what it learns. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeIdx } from '../../test/support/idx.ts';
import type { Row } from '../rows.ts';

/** Of what a tokenizer of characters knows, those that stand for no character. */
const SPECIAL_TOKENS = 3;
/** Steps that are handed out ahead belong to the epoch too. */
const AHEAD = 64;
/** The same of rounds of local steps. */
const ROUNDS_AHEAD = 2;

/**
 * A job that trains a row with Adam, each batch in two shards by default. Its one epoch is longer than `steps`: it ends with tests and
 * a checkpoint, which a benchmark of steps should never come to.
 * @param directory where its data is written
 * @param shards of a step, each of half the row's batch
 * @param exchange of a job file: with local steps, `steps` are rounds
 */
export function jobOf(
  { name, batch: whole, description, tokens }: Row,
  directory: string,
  steps: number,
  shards = 2,
  exchange: { readonly every: number; readonly optimizerState?: string; readonly precision?: string } = {
    every: 1,
  },
) {
  const batch = (whole * shards) / 2;
  const { every } = exchange;
  const samples = batch * every * (steps + (every > 1 ? ROUNDS_AHEAD : AHEAD));
  const { input, classes } = description;
  if (!Array.isArray(input)) throw new Error(`row '${name}' has several inputs`);
  mkdirSync(directory, { recursive: true });
  return {
    name: `bench-${name}`,
    model: description,
    ...(tokens && { objective: { type: 'next-token' } }),
    data: tokens
      ? { format: 'text', path: writeText(directory, tokens, samples * input[0]!), context: input[0]! }
      : { format: 'idx', path: writeNoise(directory, input, classes!, samples) },
    training: {
      ...{ epochs: 1, batch, shards, seed: 1 },
      ...{ optimizer: { type: 'adam' }, learningRate: 1e-4 },
    },
    exchange,
  };
}

/** A folder with IDX files. @param shape of a sample */
export function writeNoise(
  directory: string,
  shape: readonly number[],
  classes: number,
  samples: number,
): string {
  const size = shape.reduce((product, extent) => product * extent, 1);
  for (const [prefix, count] of [
    ['train', samples],
    ['t10k', classes],
  ] as const) {
    const pixels = new Uint8Array(count * size);
    for (let i = 0; i < pixels.length; i++) pixels[i] = noise(i);
    const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
    writeIdx(join(directory, `${prefix}-images-idx3-ubyte`), [count, ...shape], pixels);
    writeIdx(join(directory, `${prefix}-labels-idx1-ubyte`), [count], labels);
  }
  return directory;
}

/** A text of which a tokenizer of characters makes so many tokens. Its last tenth is for tests. */
function writeText(directory: string, tokens: number, length: number): string {
  const characters = Uint8Array.from({ length: tokens - SPECIAL_TOKENS }, (_, i) => '0'.charCodeAt(0) + i);
  const text = new Uint8Array(Math.ceil(length / 0.9) + 1);
  for (let i = 0; i < text.length; i++) text[i] = characters[noise(i) % characters.length]!;
  const path = join(directory, 'noise.txt');
  writeFileSync(path, text);
  return path;
}

/** A byte without a pattern that matters. */
const noise = (i: number) => Math.imul(i, 2_654_435_761) >>> 24;
