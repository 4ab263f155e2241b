/** What is fuzzed: readers of bytes that come from files or from the network, with inputs that they take and errors that are theirs. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { DataError, readSamples } from '@kasane/data/dataset';
import { openIdx, readIdx } from '@kasane/data/idx';
import { openImageFolder } from '@kasane/data/image-folder';
import { anywhere } from '@kasane/data/internal/files/access';
import { CHUNKS_FOLDER, INDEX_FILE, parseIndex } from '@kasane/data/internal/packed/packed-index';
import { openJsonLines } from '@kasane/data/internal/records/json-lines';
import { openSamples } from '@kasane/data/internal/records/open-samples';
import { openParquet } from '@kasane/data/internal/records/parquet';
import { readCsv } from '@kasane/data/internal/tables/csv';
import { packData } from '@kasane/data/pack';
import { openPacked } from '@kasane/data/packed';
import { KasaneError } from '@kasane/protocol/errors';
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { ConnectRequest } from '@kasane/protocol/gen/kasane/v1/training';
import { parseSampleFormat } from '@kasane/protocol/internal/job/sample-format';
import { decodeFrame, encodeFrame, type FrameHeader } from '@kasane/protocol/internal/wire/frame';
import { Link } from '@kasane/protocol/internal/wire/link';
import { parseJobFile, parseSweepFile } from '@kasane/protocol/job-file';
import { sentenceOf } from '@kasane/protocol/reasons';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { importOnnx, OnnxImportError } from '@kasane/tensor/io/onnx/import';
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from '@kasane/tensor/io/safetensors';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import arrayFiles from '../../packages/data/test/support/array-files.json' with { type: 'json' };
import parquetFiles from '../../packages/data/test/support/parquet-files.json' with { type: 'json' };
import { smallMnist } from '../support/cluster.ts';
import { sealed, unsealed } from './sealed.ts';

export interface Target {
  readonly name: string;
  /** Inputs that are taken. */
  readonly valid: readonly Buffer[];
  /** What a refusal may be. */
  readonly errors: readonly (new (
    ...args: never[]
  ) => Error)[];
  readonly run: (bytes: Buffer) => unknown;
  /** Bytes that reading one input may leave allocated. */
  readonly most: number;
  /** Inputs that are tried at least. Default: as many as of all. */
  readonly least?: number;
}

const MB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), 'kasane-fuzz-'));
export const cleanUp = () => rmSync(folder, { recursive: true, force: true });

const gradient = {
  kind: 'gradient',
  job: 'j',
  step: 1,
  shard: 2,
  attempt: 1,
  partition: 0,
  offset: 8,
} as const;
const headers: readonly FrameHeader[] = [
  gradient,
  { kind: 'parameters', job: 'job-1', version: 3, partition: 0, offset: 0, total: 9, digest: 5 },
  { kind: 'changes', job: 'job-1', version: 3, partition: 0, offset: 0, total: 9, digest: 5 },
  { kind: 'sharedGradient', ...without(gradient), floats: 12, place: 1 },
  {
    ...{ kind: 'batch', job: 'j', step: 1, shard: 0, epoch: 0, samples: 2 },
    input: { dtype: 'u8', shape: [2, 2] },
    target: { dtype: 'u8', shape: [] },
  } as FrameHeader,
];
function without({ kind: _, ...rest }: typeof gradient) {
  return rest;
}
const heartbeat = { message: { $case: 'heartbeat', value: { busy: 1, waiting: 2 } } } as const;
const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 3, shard: 1, attempt: 1 };
const messages = ConnectRequest.encode({
  messages: [heartbeat, { message: { $case: 'claim', value: { task } } }],
}).finish();
const frames = [
  ...headers.map((header) => encodeFrame(header, Buffer.alloc(16, 3))),
  encodeFrame({ kind: 'messages' }, messages),
];

const bare = frames.map(unsealed);

/** Feeds a data link as a socket would, in two pieces; what does not fit ends it and throws nothing. */
function feedLink(bytes: Buffer): void {
  let data: (chunk: Buffer) => void = () => {};
  let ended = '';
  const socket = {
    setNoDelay: () => {},
    destroy: () => {},
    on: (event: string, listener: (chunk: Buffer) => void) => {
      if (event === 'data') data = listener;
    },
  };
  new Link(socket as unknown as Socket, {
    onFrame: ({ header, payload }) => {
      if (header.kind === 'messages') ConnectRequest.decode(payload);
    },
    onClose: (why) => {
      ended = sentenceOf(why) || 'without a word';
    },
  });
  const half = bytes.length >> 1;
  data(bytes.subarray(0, half));
  if (ended === '') data(bytes.subarray(half));
}

const text = (value: string) => Buffer.from(value);
const examples = fileURLToPath(new URL('../../examples/', import.meta.url));
const jobs = readdirSync(examples)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(join(examples, name)));
const ownJob = `name: x\nmodel:\n  input: [8, 8, 1]\n  classes: 3\n  layers:\n    - { type: conv2d, filters: 4, kernel: 3 }\n    - { type: flatten }\n    - { type: dense, units: 10 }\ntraining: { epochs: 2, batch: 32, shards: 2 }\n`;
const search =
  'search: { sampler: grid, parameters: { training.batch: { integers: [8, 32], step: 8 }, model.layers.0.filters: { choices: [2, 4], when: { training.batch: 8 } } } }\n';
const aliases = `a: &a [1, 2]\nb: &b [*a, *a]\nname: x\nmodel: { preset: mnist-mlp }\nc: [*b, *b]\n`;

const idx = Buffer.concat([
  Buffer.of(0, 0, 8, 3),
  Buffer.from('000000020000000300000003', 'hex'),
  Buffer.alloc(18, 9),
]);
const table =
  'length,kind,colour\n1.5,a,red\n2.5,b,"blue, dark"\n3.5,a,\n4,b,red\n5,a,red\n6,b,blue\n7,a,red\n8,b,red\n';
const tensors = encodeSafetensors(
  [
    { name: 'a', shape: [2, 3], data: new Float32Array(6) },
    { name: 'b', shape: [], data: new Float32Array(1) },
  ],
  { kind: 'test' },
);

const arrays = (ending: string) =>
  Object.entries(arrayFiles)
    .filter(
      ([name]) =>
        name.endsWith(`.${ending}`) && !/fortran|objects|fields|scalar|empty|dates|uneven/.test(name),
    )
    .map(([, base64]) => gunzipSync(Buffer.from(base64, 'base64')));

const file = (name: string) => join(folder, name);
const written = (name: string, bytes: Buffer) => {
  writeFileSync(file(name), bytes);
  return file(name);
};

/** Small files of images, sequences and texts. */
async function onnxFiles(): Promise<Buffer[]> {
  const models = [
    {
      input: [6, 6, 2],
      classes: 3,
      layers: [
        { type: 'conv2d', filters: 4, size: 3, padding: 1 },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
        { type: 'upsample', method: 'bilinear' },
        { type: 'flatten' },
        { type: 'dense', units: 3 },
      ],
    },
    {
      input: [4, 3],
      output: [2],
      layers: [
        { type: 'lstm', units: 2, bidirectional: true },
        { type: 'dense', units: 2 },
      ],
    },
    {
      input: [5],
      output: [5, 7],
      layers: [
        { type: 'embedding', tokens: 7, units: 4 },
        { type: 'transformerBlock', heads: 2, causal: true },
        { type: 'dense', units: 7 },
      ],
    },
  ].map((description) => buildModel(description as never));
  const files = models.map((model) => exportOnnx(model, initializeParameters(model, 1)));
  return (await Promise.all(files)).map((bytes) => Buffer.from(bytes));
}

/** Prepares what needs files and decoders. */
export async function targets(): Promise<readonly Target[]> {
  const pixels = { create: { width: 6, height: 5, channels: 3, background: '#a0b0c0' } } as const;
  const pictures = await Promise.all([
    sharp(pixels).png().toBuffer(),
    sharp(pixels).jpeg().toBuffer(),
    sharp(pixels).webp().toBuffer(),
  ]);
  for (const kind of ['cats', 'dogs']) {
    mkdirSync(join(folder, 'images', kind), { recursive: true });
    const own = Buffer.concat([pictures[0]!, Buffer.from(kind)]);
    for (const index of [0, 1, 2]) writeFileSync(join(folder, 'images', kind, `${index}.png`), own);
  }
  mkdirSync(file('mnist'));
  const mnist = openIdx(smallMnist(file('mnist'), 20, 10));
  await packData({ ...mnist, preparation: { mean: 0, std: 1 } }, file('packed'));
  const index = readFileSync(join(folder, 'packed', INDEX_FILE));
  const [chunk] = parseIndex(index, 'index').train.chunks as [string];
  const chunkFile = join(folder, 'packed', CHUNKS_FOLDER, chunk);
  return [
    { name: 'frame', valid: frames, errors: [KasaneError], most: MB, run: (bytes) => decodeFrame(bytes) },
    {
      name: 'frame-header',
      valid: bare,
      errors: [KasaneError],
      most: MB,
      run: (bytes) => decodeFrame(sealed(bytes)),
    },
    { name: 'data-link', valid: [...frames, Buffer.concat(frames)], errors: [], most: 8 * MB, run: feedLink },
    {
      name: 'data-link-sealed',
      valid: bare,
      errors: [],
      most: 8 * MB,
      run: (bytes) => feedLink(sealed(bytes)),
    },
    {
      name: 'job-file',
      valid: [...jobs, text(ownJob), text(aliases)],
      errors: [KasaneError],
      most: 64 * MB,
      run: (bytes) => parseJobFile(bytes.toString(), 'job'),
    },
    {
      name: 'sweep-file',
      valid: [...jobs.filter((file) => file.includes('search:')), text(`${ownJob}${search}`)],
      errors: [KasaneError],
      most: 64 * MB,
      run: (bytes) => parseSweepFile(bytes.toString(), 'sweep'),
    },
    {
      name: 'sample-format',
      valid: [
        text(
          '{"input":{"dtype":"u8","shape":[28,28]},"target":{"dtype":"u8","shape":[]},"mean":[0.1],"std":[0.3],"augment":[]}',
        ),
      ],
      errors: [KasaneError],
      most: MB,
      run: (bytes) => parseSampleFormat(bytes.toString()),
    },
    {
      name: 'idx',
      valid: [idx],
      errors: [DataError],
      most: MB,
      run: (bytes) => readIdx(written('idx', bytes)),
    },
    {
      name: 'idx-gz',
      valid: [gzipSync(idx)],
      errors: [DataError],
      most: 8 * MB,
      run: (bytes) => readIdx(written('idx.gz', bytes)),
    },
    {
      name: 'csv',
      valid: [text(table), text(table.replaceAll(',', ';')), text(`\ufeff${table}`)],
      errors: [DataError],
      most: 16 * MB,
      run: (bytes) =>
        readCsv({
          ...{
            format: 'csv',
            path: written('table.csv', bytes),
            target: 'kind',
            delimiter: ',',
            validation: 0.3,
            seed: 1,
          },
          ...{ task: 'classification', columns: {}, standardize: true, standardizeTarget: false },
          ...{ missing: 'mean', onDamaged: 'skip' },
        }),
    },
    {
      name: 'parquet',
      valid: Object.entries(parquetFiles).flatMap(([kind, base64]) =>
        kind === 'lz4' ? [] : [Buffer.from(base64, 'base64')],
      ),
      errors: [DataError],
      most: 64 * MB,
      least: 2000,
      run: async (bytes) => {
        const { columns, rows } = await openParquet(written('table.parquet', bytes));
        for await (const { values } of rows(columns.map(({ name }) => name))) values.length;
      },
    },
    {
      name: 'json-lines',
      valid: [text('{"a": 1, "b": [1.5, null]}\n\n{"a": 12345678901234567890, "c": {"d": "é"}}\r\n')],
      errors: [DataError],
      most: 16 * MB,
      run: async (bytes) => {
        const { columns, rows } = await openJsonLines(written('table.jsonl', bytes), 'fail');
        for await (const { values } of rows(columns.map(({ name }) => name))) values.length;
      },
    },
    ...(['npy', 'npz', 'tar'] as const).map(
      (ending): Target => ({
        name: ending,
        valid: arrays(ending),
        errors: [DataError],
        most: 64 * MB,
        least: 2000,
        run: async (bytes) => {
          const path = written(`samples.${ending}`, bytes);
          const target = ending === 'npy' ? path : undefined;
          const { train } = await openSamples({ path, target });
          const names = train.fields.map(({ name }) => name);
          for await (const { values } of train.samples(names)) values.length;
        },
      }),
    ),
    {
      name: 'image-folder',
      valid: pictures,
      errors: [DataError],
      most: 16 * MB,
      run: async (bytes) => {
        writeFileSync(join(folder, 'images', 'cats', '0.png'), bytes);
        const { train } = await openImageFolder({
          ...{
            format: 'imagefolder',
            layout: 'auto',
            path: file('images'),
            validation: 0.4,
            seed: 1,
            size: 8,
            channels: 3,
          },
          ...{ fit: 'cover', background: 'auto', onDamaged: 'fail', mean: 0, std: 1, keep: false },
        });
        await readSamples(
          train,
          Uint32Array.from({ length: train.samples }, (_, sample) => sample),
        );
      },
    },
    {
      name: 'safetensors',
      valid: [Buffer.from(tensors)],
      errors: [SafetensorsError],
      most: MB,
      run: (bytes) => decodeSafetensors(bytes),
    },
    {
      name: 'onnx',
      valid: await onnxFiles(),
      errors: [OnnxImportError],
      most: 64 * MB,
      least: 2000,
      run: (bytes) => importOnnx(bytes),
    },
    {
      name: 'packed-index',
      valid: [index],
      errors: [DataError],
      most: MB,
      run: (bytes) => parseIndex(bytes, 'index'),
    },
    {
      name: 'packed-chunk',
      valid: [readFileSync(chunkFile)],
      errors: [DataError],
      most: 4 * MB,
      run: async (bytes) => {
        writeFileSync(chunkFile, bytes);
        await readSamples(
          (await openPacked(file('packed'), undefined, anywhere)).train,
          Uint32Array.of(0, 19),
        );
      },
    },
  ];
}
