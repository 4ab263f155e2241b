/** WebDataset: tar archives in which files that differ only in their ending are one sample, in one or several shards. */
import { basename } from 'node:path';
import { DataError } from '../dataset.ts';
import { isHidden } from '../files/folder.ts';
import { isImage } from '../images/image-decode.ts';
import { ByteQueue } from './byte-queue.ts';
import { decodeNpy, npyRows, readNpyHeader } from './npy.ts';
import type { Numbers } from './numbers.ts';
import type { RecordValue } from './record-file.ts';
import type { SampleSource, SourceField, SourceSample } from './sample-source.ts';
import { tarMembers } from './tar-members.ts';

/** Endings of a sample's files. */
const MOST_ENDINGS = 1000;
/** What holds a class or a number, as text. */
const numbered = new Set(['cls', 'cls2', 'index', 'inx', 'id']);
const texts = new Set(['txt', 'text', 'transcript', 'caption']);

interface Found {
  readonly key: string;
  readonly place: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** @param shards archives, in order. @throws DataError */
export async function openWebDataset(place: string, shards: readonly string[]): Promise<SampleSource> {
  const first = await firstOf(shards);
  return {
    place,
    fields: await fieldsOf(first),
    ...(first.files.has('cls') && { target: 'cls' }),
    async *samples(names): AsyncGenerator<SourceSample> {
      const endings = new Set(names.map(endingOf));
      for await (const sample of samplesOf(shards, (ending) => endings.has(ending))) {
        const values = [];
        for (const name of names) values.push(await valueIn(sample, name));
        yield { place: sample.place, values };
      }
    },
  };
}

async function firstOf(shards: readonly string[]): Promise<Found> {
  for await (const sample of samplesOf(shards, () => true)) return sample;
  throw new DataError(`${shards[0]}: it contains no samples: files such as 0001.jpg with 0001.cls`);
}

/** The name without its ending, which begins at the first point; undefined of what is no part of a sample. */
function split(name: string): readonly [key: string, ending: string] | undefined {
  const file = basename(name);
  if (isHidden(file) || file.startsWith('__')) return undefined;
  const point = file.indexOf('.');
  if (point <= 0 || point === file.length - 1) return undefined;
  const folder = name.slice(0, name.length - file.length);
  return [folder + file.slice(0, point), file.slice(point + 1).toLowerCase()];
}

/** `json.label` is the key `label` of what ends in json. */
const endingOf = (name: string): string => (name.startsWith('json.') ? 'json' : name);

async function* samplesOf(
  shards: readonly string[],
  wants: (ending: string) => boolean,
): AsyncGenerator<Found> {
  for (const shard of shards) {
    let key: string | undefined;
    let files = new Map<string, Uint8Array>();
    const found = (): Found => ({ key: key!, place: `${shard}, ${key}`, files });
    const isPart = (name: string) => {
      const parts = split(name);
      // Also of what is not wanted: a sample without its image is one all the same.
      return parts !== undefined && (wants(parts[1]) || parts[0] !== key);
    };
    for await (const { name, bytes } of tarMembers(shard, isPart)) {
      const [own, ending] = split(name)!;
      if (own !== key) {
        if (key !== undefined) yield found();
        key = own;
        files = new Map();
      }
      if (!wants(ending)) continue;
      if (files.has(ending))
        throw new DataError(`${shard}, ${name}: it is there twice. Write each file once`);
      if (files.size === MOST_ENDINGS)
        throw new DataError(`${shard}, ${own}: more than ${MOST_ENDINGS} files in one sample`);
      files.set(ending, bytes);
    }
    if (key !== undefined) yield found();
  }
}

async function fieldsOf(first: Found): Promise<readonly SourceField[]> {
  const fields: SourceField[] = [];
  for (const ending of first.files.keys()) {
    if (isImage(`x.${ending}`)) fields.push({ name: ending, kind: 'image' });
    else if (ending === 'npy') {
      const value = await valueIn(first, ending);
      const isArray = typeof value === 'object' && value !== null && 'kind' in value;
      fields.push({ name: ending, kind: 'array', ...(isArray && { numbers: (value as Numbers).kind }) });
    } else if (ending === 'json') {
      const value = parsed(first, ending);
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        fields.push({ name: ending, kind: 'value', numbers: 'unknown' });
      else {
        for (const [key, inner] of Object.entries(value))
          fields.push({
            name: `json.${key}`,
            kind: typeof inner === 'object' ? 'array' : 'value',
            numbers: 'unknown',
          });
      }
    } else if (numbered.has(ending) || texts.has(ending)) fields.push({ name: ending, kind: 'value' });
    else fields.push({ name: ending, kind: 'other' });
  }
  return fields;
}

function parsed({ files, place }: Found, ending: string): RecordValue {
  try {
    return JSON.parse(text(files.get(ending)!)) as RecordValue;
  } catch (error) {
    throw new DataError(`${place}.${ending}: it is not JSON (${(error as Error).message.slice(0, 100)})`);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const text = (bytes: Uint8Array) => utf8.decode(bytes);

async function valueIn(sample: Found, name: string): Promise<RecordValue | Numbers> {
  const ending = endingOf(name);
  const bytes = sample.files.get(ending);
  if (bytes === undefined) return undefined;
  const place = `${sample.place}.${ending}`;
  if (ending === 'json') {
    const value = parsed(sample, ending);
    if (name === 'json') return value;
    const key = name.slice('json.'.length);
    const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    return isObject ? (value as { readonly [key: string]: RecordValue })[key] : undefined;
  }
  if (ending === 'npy') return wholeNpy(bytes, place);
  if (!numbered.has(ending) && !texts.has(ending)) return bytes;
  try {
    const written = text(bytes).trim();
    return numbered.has(ending) && /^-?\d{1,15}$/.test(written) ? Number(written) : written;
  } catch {
    throw new DataError(`${place}: it is not UTF-8`);
  }
}

async function wholeNpy(bytes: Uint8Array, place: string): Promise<RecordValue | Numbers> {
  async function* pieces() {
    yield bytes;
  }
  const queue = new ByteQueue(pieces());
  const header = await readNpyHeader(queue, place);
  const rows = [];
  for await (const row of npyRows(queue, header, place)) rows.push(row);
  return decodeNpy(header, rows);
}
