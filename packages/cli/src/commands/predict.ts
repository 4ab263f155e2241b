/** `kasane predict`: what a trained model makes of images. */
import { existsSync, readFileSync } from 'node:fs';
import { normalizationTable, normalizeInto } from '@kasane/data/normalize';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { openWasmSession } from '@kasane/tensor/backends/wasm/session';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { buildModel, type Model, type ModelDescription } from '@kasane/tensor/nn/model';
import { enableRevectorization } from '@kasane/tensor/node/v8-flags';
import sharp from 'sharp';
import { percent } from '../render/job.ts';

export interface PredictOptions extends ClientOptions {
  /** White on black is expected, as in MNIST; undefined: images with a bright border are inverted. */
  readonly invert?: boolean;
  readonly json?: boolean;
}

interface Trained {
  readonly model: Model;
  readonly parameters: Float32Array;
  readonly mean: number;
  readonly std: number;
}

export async function predict(
  source: string,
  images: readonly string[],
  options: PredictOptions,
): Promise<void> {
  const { model, parameters, mean, std } = await loadModel(source, options);
  enableRevectorization();
  const session = await openWasmSession(model, [{ mode: 'predict', samples: 1 }]);
  session.parameters.set(parameters);
  const program = session.program({ mode: 'predict', samples: 1 });
  for (const path of images) {
    const { pixels, inverted } = await readImage(path, model, options.invert);
    normalizeInto(pixels, normalizationTable(mean, std), program.x);
    program.run();
    const probabilities = softmax(program.logits);
    const best = probabilities.indexOf(Math.max(...probabilities));
    if (options.json) {
      process.stdout.write(`${JSON.stringify({ image: path, class: best, probabilities, inverted })}\n`);
      continue;
    }
    const second = probabilities.map((p, index) => ({ p, index })).sort((a, b) => b.p - a.p)[1]!;
    process.stdout.write(
      `${path}: ${best} (${percent(probabilities[best]!)}; next ${second.index} with ${percent(second.p)})${inverted ? ', inverted first: its border is bright' : ''}\n`,
    );
  }
}

/** From a file, or from a coordinator by the job's id. */
async function loadModel(source: string, options: ClientOptions): Promise<Trained> {
  let bytes: Uint8Array;
  if (existsSync(source)) {
    bytes = readFileSync(source);
  } else if (source.endsWith('.safetensors')) {
    throw new KasaneError('FILE_DAMAGED', `${source}: there is no such file`);
  } else {
    const client = new CoordinatorClient(options);
    bytes = await client.model(source).finally(() => client.close());
  }
  const damaged = (why: string, cause?: unknown) =>
    new KasaneError('FILE_DAMAGED', `${source}: ${why}`, { cause });
  try {
    const { tensors, metadata } = decodeSafetensors(bytes);
    const [description, data] = [metadata['kasane.model'], metadata['kasane.data']];
    if (!description || !data)
      throw damaged('its metadata has no kasane.model and kasane.data; Kasane did not write it');
    const model = buildModel(JSON.parse(description) as ModelDescription);
    const parameters = new Float32Array(model.parameterCount);
    for (const { name, offset, size } of model.parameters) {
      const tensor = tensors.find((candidate) => candidate.name === name);
      if (tensor?.data.length !== size) throw damaged(`tensor '${name}' of ${size} numbers is missing`);
      parameters.set(tensor.data, offset);
    }
    return { model, parameters, ...(JSON.parse(data) as { mean: number; std: number }) };
  } catch (error) {
    throw error instanceof KasaneError ? error : damaged(messageOf(error), error);
  }
}

/** Any image that sharp reads, grey and in the size that the model takes. */
async function readImage(
  path: string,
  model: Model,
  invert: boolean | undefined,
): Promise<{ pixels: Uint8Array; inverted: boolean }> {
  const features = model.description.input.reduce((product, extent) => product * extent, 1);
  const side = Math.sqrt(features);
  if (!Number.isInteger(side)) {
    throw new KasaneError(
      'DATA_INVALID',
      `the model takes ${features} numbers a sample, which is no square image`,
    );
  }
  let pixels: Buffer;
  try {
    const image = sharp(path).flatten({ background: '#000' }).toColourspace('b-w');
    pixels = await image.resize(side, side, { fit: 'contain', background: '#000' }).raw().toBuffer();
  } catch (error) {
    throw new KasaneError('DATA_INVALID', `${path}: not an image that can be read (${messageOf(error)})`, {
      cause: error,
    });
  }
  const border = pixels.filter(
    (_, i) => i < side || i >= features - side || i % side === 0 || i % side === side - 1,
  );
  const bright = border.reduce((sum, value) => sum + value, 0) / border.length > 127;
  const inverted = invert ?? bright;
  return { pixels: inverted ? pixels.map((value) => 255 - value) : pixels, inverted };
}

function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
