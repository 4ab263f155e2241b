/** A weights file alone is enough to use a model: what goes in comes out, to the bit, and other people's parsers read it. */
import { parseSafetensorsMetadata } from '@huggingface/hub';
import { describe, expect, it } from 'vitest';
import { decodeModelFile, encodeModelFile } from '../src/io/model-file.ts';
import { encodeSafetensors } from '../src/io/safetensors.ts';
import { buildModel, initializeParameters } from '../src/nn/model.ts';

const model = buildModel({
  input: [6, 6, 1],
  classes: 3,
  layers: [
    { type: 'conv2d', filters: 4, size: 3, name: 'stem' },
    { type: 'batchNorm' },
    { type: 'flatten' },
    { type: 'dense', units: 3 },
  ],
});
const parameters = initializeParameters(model, 2);
// What arithmetic would not keep: signed zero, subnormal, infinity, NaN with a payload.
new Uint32Array(parameters.buffer).set([0x8000_0000, 1, 0x7f80_0000, 0x7fc1_2345]);
const about = {
  job: 'digits',
  step: 1200,
  seed: 7,
  objective: { type: 'classification', labelSmoothing: 0.1 },
  preparation: { mean: 0.5, std: [0.25], classes: ['a', '重', '"c"'] },
  data: { format: 'idx' },
};

describe('a model file', () => {
  it('comes back as it went, to the bit', () => {
    const file = encodeModelFile({ model, parameters, about });
    const back = decodeModelFile(file);
    expect(new Uint32Array(back.parameters.buffer)).toEqual(new Uint32Array(parameters.buffer));
    expect(back.about).toEqual(about);
    expect(back.model).toEqual(model);
    expect(encodeModelFile(back)).toEqual(file);
  });

  it('may say less', () => {
    expect(decodeModelFile(encodeModelFile({ model, parameters, about: {} })).about).toEqual({});
  });

  it.each([
    ['a file of others', encodeSafetensors([]), /no kasane\.model: it was not written by Kasane/],
    [
      'a missing tensor',
      encodeSafetensors([], { 'kasane.model': JSON.stringify(model.description) }),
      /'stem\.weight' of 36/,
    ],
    [
      'a model that is none',
      encodeSafetensors([], { 'kasane.model': '{}' }),
      /neither of classes and output/,
    ],
    [
      'a model that takes nothing',
      encodeSafetensors([], { 'kasane.model': '{"classes":2,"layers":[{"type":"relu"}]}' }),
      /input is undefined; expected the shape of a sample/,
    ],
    ['words that are no JSON', encodeSafetensors([], { 'kasane.model': '{' }), /kasane\.model is not JSON/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeModelFile(bytes)).toThrow(message);
  });

  it("is read by Hugging Face's parser", async () => {
    const file = encodeModelFile({ model, parameters, about });
    // The one server that it knows, answered from memory: the parser asks for ranges.
    const serve = (address: string | URL | Request, { headers }: RequestInit = {}) => {
      const range = /bytes=(\d+)-(\d+)/.exec(new Headers(headers).get('range') ?? '');
      const start = Number(range?.[1] ?? 0);
      const end = Math.min(Number(range?.[2] ?? file.length - 1), file.length - 1);
      const known = String(address).includes('/model.safetensors');
      const response = new Response(known ? file.slice(start, end + 1) : null, {
        status: known ? 206 : 404,
        headers: { ETag: '"1"', 'Content-Range': `bytes ${start}-${end}/${file.length}` },
      });
      Object.defineProperty(response, 'url', { value: String(address) });
      return Promise.resolve(response);
    };
    const parsed = await parseSafetensorsMetadata({
      repo: 'kasane/test',
      path: 'model.safetensors',
      computeParametersCount: true,
      fetch: serve as typeof fetch,
    });
    if (parsed.sharded) throw new Error('one file was written');
    const { __metadata__: metadata, ...tensors } = parsed.header;
    expect(parsed.parameterCount).toEqual({ F32: model.parameterCount });
    expect(metadata).toMatchObject({ format: 'pt', 'kasane.job': 'digits', 'kasane.step': '1200' });
    expect(Object.entries(tensors).map(([name, { shape }]) => [name, shape])).toEqual(
      model.parameters.map(({ name, shape }) => [name, shape]),
    );
  });
});
