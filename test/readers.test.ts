/** Every reader of files that users name, times everything that may lie at such a path instead of a good file. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { dev } from '@kasane/cli/internal/commands/cert/cert';
import { openSound } from '@kasane/cli/internal/commands/data/data';
import { guessFormat } from '@kasane/cli/internal/commands/data/guess-format';
import { checkCertificates } from '@kasane/cli/internal/commands/doctor/checks';
import { readInputs } from '@kasane/cli/internal/commands/predict/inputs';
import { readJob } from '@kasane/cli/internal/files/read-job';
import { loadTrained, type Trained } from '@kasane/cli/internal/model/trained';
import { readConfig } from '@kasane/cli/internal/program/contexts';
import { joinTraces } from '@kasane/cli/internal/render/profile';
import { startingWeights } from '@kasane/coordinator/internal/submit/starting-weights';
import { type Preparation, readSamples } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { packSamples } from '@kasane/data/internal/packed/pack-samples';
import { sampleOptions } from '@kasane/data/internal/records/pack-options';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { readClientTls, readServerTls } from '@kasane/protocol/internal/security/tls';
import { checkJob } from '@kasane/protocol/job';
import { checkData } from '@kasane/protocol/job-data';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import arrayFiles from '../packages/data/test/support/array-files.json' with { type: 'json' };
import parquetFiles from '../packages/data/test/support/parquet-files.json' with { type: 'json' };
import {
  asOtherUser,
  type BadSource,
  type BadSourceName,
  badSources,
  whyNot,
} from './support/bad-sources.ts';
import { writeIdx } from './support/idx.ts';

interface Reader {
  /** The file that is replaced, from the folder of good files. */
  readonly file: string;
  /** @param path of that file. @param folder with all the others, as they should be */
  read(path: string, folder: string): unknown;
  /** What is no error for this reader, and why. */
  readonly takes?: Partial<Record<BadSourceName, string>>;
}

const open = async (data: object) => {
  const { train } = await openData(checkData(data), anywhere);
  await readSamples(
    train,
    Uint32Array.from({ length: train.samples }, (_, sample) => sample),
  );
};
const texts = { format: 'text', context: 2, validation: 0.4 };
const model = buildModel({ input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] });
const trained = (preparation: Preparation, shape: readonly number[]) =>
  ({ model: { sampleShape: shape }, preparation }) as unknown as Trained;
const number = (name: string) => ({ name, kind: 'number', mean: 0, std: 1, fill: 0 }) as const;
const tokenizer = { kind: 'byte' } as const;
const asText = { nothing: 'then it is the text, or the row, itself' } as const;
const noTls = { 'an empty file': 'it is checked by Node' } as const;

/** What `data pack` is told of each kind of file. */
const samples = {
  npy: { task: 'regression' },
  npz: {},
  tar: { size: 2 },
  parquet: { input: 'v', target: 'kind' },
  jsonl: {},
};

const readers: Record<string, Reader> = {
  'csv: path': { file: 'table.csv', read: (path) => open({ format: 'csv', path, target: 'y' }) },
  'csv: test': {
    file: 'test.csv',
    read: (test, folder) => open({ format: 'csv', path: join(folder, 'table.csv'), test, target: 'y' }),
  },
  'csv, skipping': {
    file: 'table.csv',
    read: (path) => open({ format: 'csv', path, target: 'y', onDamaged: 'skip' }),
  },
  'csv: Parquet': {
    file: 'table.parquet',
    read: (path) =>
      open({
        format: 'csv',
        path,
        target: 'kind',
        columns: { day: 'ignore', at: 'ignore' },
        missing: 'mean',
      }),
  },
  'csv: JSON Lines': {
    file: 'table.jsonl',
    read: (path) => open({ format: 'csv', path, target: 'y' }),
  },
  ...Object.fromEntries(
    (['npy', 'npz', 'tar', 'parquet', 'jsonl'] as const).map((ending): [string, Reader] => [
      `data pack: ${ending}`,
      {
        file: `samples.${ending}`,
        read: (path, folder) =>
          packSamples(
            sampleOptions({ ...samples[ending], path, ...(ending === 'npy' && { target: path }) }),
            join(folder, 'out'),
          ),
      },
    ]),
  ),
  'data pack: targets': {
    file: 'samples.npy',
    read: (target, folder) =>
      packSamples(
        sampleOptions({ ...samples.npy, path: join(folder, 'samples.npy'), target }),
        join(folder, 'out'),
      ),
  },
  series: { file: 'series.csv', read: (path) => open({ format: 'series', path, window: 2 }) },
  'text: a file': { file: 'text.txt', read: (path) => open({ ...texts, path }) },
  'text: a file of a folder': {
    file: 'texts/a.txt',
    read: (path) => open({ ...texts, path: dirname(path) }),
    takes: {
      'a folder': 'folders are walked',
      nothing: 'others are there',
      'an empty file': 'others are not',
    },
  },
  'text: a CSV file': {
    file: 'labelled.csv',
    read: (path) => open({ ...texts, path, objective: 'classification' }),
  },
  'text: a file of a class': {
    file: 'classes/a/1.txt',
    read: (path) => open({ ...texts, path: dirname(dirname(path)), objective: 'classification' }),
    takes: { 'a folder': 'folders are walked', nothing: 'others are there' },
  },
  idx: { file: 'idx/train-images-idx3-ubyte', read: (path) => open({ path: dirname(path) }) },
  'idx, packed': { file: 'idx/t10k-labels-idx1-ubyte.gz', read: (path) => open({ path: dirname(path) }) },
  imagefolder: {
    file: 'images/a/1.png',
    read: (path) => open({ format: 'imagefolder', path: dirname(dirname(path)), size: 4, validation: 0.5 }),
    takes: { 'a folder': 'folders are walked', nothing: 'others are there' },
  },
  'packed: index': {
    file: 'packed/index.json',
    read: (path) => open({ format: 'packed', path: dirname(path) }),
  },
  'packed: chunk': {
    file: 'packed/chunks/CHUNK',
    read: (path) => open({ format: 'packed', path: dirname(dirname(path)) }),
  },
  'kasane data and init': {
    file: 'table.csv',
    read: async (path) => openSound({ ...(await guessFormat(path)).section, path, target: 'y' }),
    takes: { 'a folder': 'a folder is data of other formats' },
  },
  'predict: table': {
    file: 'table.csv',
    read: (path) =>
      readInputs(trained({ table: { columns: [number('x')], missing: 'fail', targets: [] } }, [1]), path, {}),
    takes: asText,
  },
  'predict: series': {
    file: 'series.csv',
    read: (path) => {
      const series = { window: 2, horizon: 1, columns: [number('v')], targets: ['v'] };
      return readInputs(trained({ series }, [2, 1]), path, {});
    },
  },
  'predict: text': {
    file: 'text.txt',
    read: (path) => {
      const text = { tokenizer, context: 4, objective: 'classification' } as const;
      return readInputs(trained({ text }, [4]), path, {});
    },
    takes: asText,
  },
  'predict: image': {
    file: 'images/a/1.png',
    read: (path) => {
      const image = { height: 4, width: 4, channels: 3, fit: 'cover' } as const;
      return readInputs(trained({ image, mean: 0, std: 1 }, [4, 4, 3]), path, {});
    },
  },
  'weights of predict, eval and export': {
    file: 'model.safetensors',
    read: (path) => loadTrained(path, { coordinator: '127.0.0.1:1' }),
  },
  'init of a job': {
    file: 'model.safetensors',
    read: (init) => startingWeights(checkJob({ name: 'x', model: model.description, init }), '', anywhere),
  },
  'a job file': { file: 'job.yaml', read: (path) => readJob(path) },
  contexts: {
    file: 'config.json',
    read: (path) => readConfig(path),
    takes: { nothing: 'there are none yet' },
  },
  'tls: certificate of a server': {
    file: 'tls/server.pem',
    read: (tlsCert, folder) => readServerTls({ tlsCert, tlsKey: join(folder, 'tls/server-key.pem') }),
  },
  'tls: key': {
    file: 'tls/server-key.pem',
    read: (tlsKey, folder) => readServerTls({ tlsCert: join(folder, 'tls/server.pem'), tlsKey }),
  },
  'tls: authority': { file: 'tls/ca.pem', read: (tlsCa) => readClientTls({ tlsCa }) },
  'cert dev': {
    file: 'tls/ca.pem',
    read: (path) => dev(dirname(path), { host: [], days: 1, json: true }),
    takes: noTls,
  },
  doctor: {
    file: 'tls/ca.pem',
    read: (path) => {
      const { state, found } = checkCertificates('--tls-ca', path);
      if (state === 'wrong') throw new Error(found);
    },
  },
  'traces of workers': {
    file: 'trace.json',
    read: (path, folder) => joinTraces([path], join(folder, 'joined.json')),
    takes: { 'an empty file': 'a trace that has not begun' },
  },
};

let good: string;
beforeAll(async () => {
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  good = mkdtempSync(join(tmpdir(), 'kasane-readers-'));
  const write = (name: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(good, name)), { recursive: true });
    writeFileSync(join(good, name), content);
  };
  const rows = Array.from({ length: 12 }, (_, i) => `${i},${i % 2}`).join('\n');
  for (const name of ['table.csv', 'test.csv']) write(name, `x,y\n${rows}\n`);
  const unpacked = (name: keyof typeof arrayFiles) => gunzipSync(Buffer.from(arrayFiles[name], 'base64'));
  write('samples.npy', unpacked('of <f8.npy'));
  write('samples.npz', unpacked('plain.npz'));
  write('samples.tar', unpacked('ustar.tar'));
  write('samples.parquet', Buffer.from(parquetFiles.snappy, 'base64'));
  write('samples.jsonl', '{"v": [0.5], "y": "a"}\n{"v": [1.5], "y": "b"}\n'.repeat(8));
  write('table.parquet', Buffer.from(parquetFiles.snappy, 'base64'));
  write('table.jsonl', rows.replaceAll(/^(.*),(.*)$/gm, '{"x": $1, "y": $2}'));
  write('series.csv', `v\n${rows.replaceAll(/,./g, '')}\n`);
  write('labelled.csv', `text,label\n${rows}\n`);
  for (const name of ['text.txt', 'texts/a.txt', 'texts/b.txt']) write(name, 'so la ti do '.repeat(20));
  for (const name of ['a/1.txt', 'a/2.txt', 'b/1.txt', 'b/2.txt']) write(`classes/${name}`, name.repeat(3));
  mkdirSync(join(good, 'idx'));
  for (const part of ['train', 't10k']) {
    writeIdx(join(good, `idx/${part}-images-idx3-ubyte`), [4, 2, 2], new Uint8Array(16));
    writeIdx(join(good, `idx/${part}-labels-idx1-ubyte`), [4], Uint8Array.of(0, 1, 0, 1));
  }
  const labels = join(good, 'idx/t10k-labels-idx1-ubyte');
  write('idx/t10k-labels-idx1-ubyte.gz', gzipSync(readFileSync(labels)));
  rmSync(labels);
  for (const name of ['a/1', 'a/2', 'b/1', 'b/2']) {
    const background = name.startsWith('a') ? '#fff' : '#000';
    const picture = sharp({ create: { width: 4, height: 4, channels: 3, background } });
    write(`images/${name}.png`, await picture.png().toBuffer());
  }
  const table = await openData(
    checkData({ format: 'csv', path: join(good, 'table.csv'), target: 'y' }),
    anywhere,
  );
  await packData(table, join(good, 'packed'));
  const index = JSON.parse(readFileSync(join(good, 'packed/index.json'), 'utf8'));
  const [chunk] = index.train.chunks;
  Object.assign(readers['packed: chunk']!, { file: `packed/chunks/${chunk}` });
  const parameters = new Float32Array(model.parameterCount).fill(1);
  write('model.safetensors', encodeModelFile({ model, parameters, about: {} }));
  write('job.yaml', 'name: x\nmodel: { preset: mnist-mlp }\n');
  write('config.json', '{ "contexts": {} }');
  write('trace.json', '[\n{"name":"x","cat":"kernel","dur":1}\n]\n');
  await dev(join(good, 'tls'), { host: [], days: 1, json: true });
  execFileSync('chmod', ['-R', 'a+rX', good]);
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(good, { recursive: true });
});

/** A copy of the good files, which one test may spoil. */
async function withCopy(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kasane-readers-'));
  try {
    cpSync(good, folder, { recursive: true });
    chmodSync(folder, 0o755);
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What it says; undefined when it reads as if nothing were wrong. */
async function refusal({ read }: Reader, path: string, folder: string): Promise<string | undefined> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('HANGS')), 20_000).unref();
  });
  const reading = (async () => read(path, folder))();
  return Promise.race([reading, late]).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

describe.each(Object.entries(readers))('%s', (_, reader) => {
  it('reads a good file', () =>
    withCopy(async (folder) => {
      expect(await refusal(reader, join(folder, reader.file), folder)).toBeUndefined();
    }));

  it.each(Object.entries<BadSource>(badSources))('%s', async (name, source) => {
    const missing = whyNot(source);
    if (missing !== undefined) return console.warn(`not tried: ${missing}`);
    await withCopy(async (folder) => {
      const path = join(folder, reader.file);
      rmSync(path);
      const clear = await source.place(path);
      const run = () => refusal(reader, path, folder);
      const said = await (source.asOther ? asOtherUser(run) : run());
      clear?.();
      if (reader.takes?.[name as BadSourceName]) {
        expect(said ?? '').not.toContain('HANGS');
        return;
      }
      // One line that names the place, in words.
      expect(said).toMatch(/^[^\n]+$/);
      expect(said).toContain(relative(folder, path).split('/')[0]);
      expect(said!.replaceAll(folder, '')).not.toMatch(/HANGS|\bE[A-Z]{3,}\b|errno|syscall|undefined/);
    });
  });
});

/** Who reads files by other means, and why no user names them. */
const others: Record<string, string> = {
  'tensor/src/node/regular-file.ts': 'the door itself',
  'cli/src/program/version.ts': 'comes with the package',
  'cli/src/bin.js': 'comes with the package',
  'cli/src/files/output-file.ts': 'weights that this run has written',
  'cli/src/commands/data/get/cifar10.ts': 'a package that npm unpacked',
  'cli/src/commands/data/get/tables.ts': 'a package that npm unpacked',
  'cli/src/files/read-job.ts': 'standard input',
  'coordinator/src/version.ts': 'comes with the package',
  'coordinator/src/serve/standard-services.ts': 'comes with the package',
  'coordinator/src/submit/inspection.ts': 'of the state directory',
  'coordinator/src/params/files.ts': 'of the state directory',
  'coordinator/src/store/backup.ts': 'of the state directory',
  'coordinator/src/jobs/reading-marks.ts': 'of the state directory',
  'coordinator/src/store/state-check.ts': 'of the state directory',
  'coordinator/src/store/state-lock.ts': 'of the state directory',
  'coordinator/src/store/wal.ts': 'of the state directory',
  'dashboard/src/bundle.ts': 'comes with the package',
  'dashboard/src/files.ts': 'comes with the package',
  'data/src/files/whole-file.ts': 'writes',
  'protocol/src/wire/shared-memory.ts': 'made by this program',
  'protocol/src/ports/open-files.ts': '/proc',
  'cli/src/files/write-file.ts': 'writes',
  'cli/src/files/replaced-file.ts': 'a regular file, of which it reads the first bytes',
  'cli/src/redis/start.ts': 'made by this program',
  'cli/src/commands/train/worker-processes.ts': 'what its own processes print',
  'cli/src/files/temporary-folder.ts': 'made by this program; /proc',
  'tensor/src/node/record-file.ts': 'writes',
  'tensor/src/node/file-size-limit.ts': '/proc',
  'tensor/src/node/address-space.ts': '/proc',
};

it('nobody else opens files', () => {
  const packages = fileURLToPath(new URL('../packages/', import.meta.url));
  const sources = readdirSync(packages).flatMap((name) =>
    readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|js)$/.test(file) && !file.includes('gen/'))
      .map((file) => join(name, 'src', file)),
  );
  const opens = sources.filter((file) => {
    const text = readFileSync(join(packages, file), 'utf8');
    const imported = [...text.matchAll(/import \{([^}]*)\} from 'node:fs(?:\/promises)?'/g)].map(
      ([, names]) => names,
    );
    return (
      /\b(open|openSync|readFile|readFileSync|createReadStream)\b/.test(imported.join()) ||
      /\.pipe\(/.test(text)
    );
  });
  expect(opens.sort()).toEqual(Object.keys(others).sort());
});
