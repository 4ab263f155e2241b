/** `kasane data`: looks at what a job would train on. */
import { basename, dirname, extname, join, relative } from 'node:path';
import { type DataParts, type Dataset, readSamples } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { CHUNKS_FOLDER, INDEX_FILE } from '@kasane/data/internal/packed/packed-index';
import { openData } from '@kasane/data/open';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { checkData, type DataSpec } from '@kasane/protocol/job-data';
import { formatField } from '@kasane/tensor/internal/field';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import sharp from 'sharp';
import { jobOf, placeFromHere, readJob } from '../../files/read-job.ts';
import { requireReplaceable } from '../../files/replaced-file.ts';
import { out } from '../../output/say.ts';
import { count } from '../../render/count.ts';
import { describeSample, labelOf } from '../../render/sample.ts';
import { table } from '../../render/table.ts';
import { guessFormat } from './guess-format.ts';
import { settingsOf, withSettings } from './settings.ts';

export interface DataCommand {
  readonly set: readonly string[];
}
export interface InspectCommand extends DataCommand {
  readonly sheet?: string;
  readonly json?: boolean;
}
/** Samples that are shown. */
const SHOWN = 3;
/** Classes that are listed. */
const LISTED = 20;
/** Images in a row of a contact sheet, and rows. */
const SHEET_SIDE = 8;
/** Characters of a label beside a contact sheet. */
const LABEL = 12;

export async function inspect(place: string, options: InspectCommand): Promise<void> {
  const spec = await specOf(place, options.set);
  if (options.sheet !== undefined) {
    const { sheet } = options;
    requireOutside(
      spec,
      sheet,
      (around) => `--sheet ${sheet}: it is inside the data, ${around}; choose a file outside of it`,
    );
    requireReplaceable(sheet, 'sheet', '--sheet');
  }
  // Of a path, what is damaged is among what is to be seen; a job says what becomes of it.
  const { parts } = isJob(place) ? { parts: await openPlace(spec) } : await openSound(spec);
  const { train, test, preparation, notes = [] } = parts;
  const samples = [];
  for (let i = 0; i < Math.min(SHOWN, train.samples); i++)
    samples.push(describeSample(preparation, train, await readSamples(train, Uint32Array.of(i))));
  const sheet = options.sheet === undefined ? undefined : await writeSheet(parts, options.sheet);
  if (options.json) {
    const describe = ({ samples: count, classes, counts, digest }: Dataset) => ({
      samples: count,
      classes,
      counts,
      digest,
    });
    const { input, target } = train;
    const record = {
      input,
      target,
      train: describe(train),
      test: describe(test),
      preparation,
      notes,
      samples,
      sheet: sheet ?? null,
    };
    out.lines(JSON.stringify(record));
    return;
  }
  const lines = [
    `Train    ${count(train.samples, 'sample')}`,
    `Test     ${count(test.samples, 'sample')}`,
    `Input    ${formatField(train.input)}`,
    `Target   ${targetLine(train)}`,
    ...classLines(parts),
    ...(preparation.table?.columns ?? []).map((column) =>
      column.kind === 'number'
        ? `Column   ${column.name}: number, mean ${column.mean.toPrecision(4)}, standard deviation ${column.std.toPrecision(4)}`
        : `Column   ${column.name}: ${column.categories.length} categories${column.kind === 'index' ? ', by number from 1' : ''}: ${column.categories.slice(0, LISTED).join(', ')}`,
    ),
    ...samples.map((sample, index) => `Sample ${index} ${sample}`),
    ...(sheet ? sheetLines(sheet) : []),
    ...notes.map((note) => `Note     ${note}`),
  ];
  out.lines(...lines);
}

/** What lies inside a folder of data would be read as a part of it from then on. */
export function requireOutside(
  spec: { readonly path?: unknown; readonly test?: unknown },
  file: string,
  refusal: (around: string) => string,
): void {
  const places = [spec.path, spec.test];
  const around = places.find(
    (place) =>
      typeof place === 'string' &&
      kindOfPath(place) === 'folder' &&
      !/^\.\.(\/|$)/.test(relative(place, file)),
  );
  if (around !== undefined) throw new KasaneError('USAGE', refusal(String(around)));
}

export const isJob = (place: string): boolean =>
  Object.hasOwn(jobPresets, place) || ['.yaml', '.yml', '.json'].includes(extname(place));

/** The data section of a job file or preset, or one made for a path by what is there. */
export async function specOf(place: string, set: readonly string[]): Promise<DataSpec> {
  if (basename(place) === INDEX_FILE && kindOfPath(join(dirname(place), CHUNKS_FOLDER)) === 'folder')
    throw new KasaneError(
      'USAGE',
      `${place}: this is the index of packed data; give its folder instead, ${dirname(place)}`,
    );
  if (isJob(place)) {
    const isElsewhere = set.some((text) => text.startsWith('path='));
    const { data } = (isElsewhere ? await readJob(place) : await jobOf(place)).spec;
    return checkData(withSettings({ ...data }, set));
  }
  const path = placeFromHere(place);
  const given = settingsOf(set);
  const { section, doubt } = await guessFormat(path);
  if (doubt !== undefined && !('format' in given)) throw new KasaneError('DATA_INVALID', doubt);
  const data: Record<string, unknown> = { ...section, path, ...given };
  if (data.format === 'csv' && !('target' in data))
    throw new KasaneError(
      'USAGE',
      `${place}: which column should the model predict? Set it with --set target=COLUMN`,
    );
  return checkData(data);
}

/** What goes wrong with data is the data's fault. */
export const asData = async <T>(body: () => Promise<T>): Promise<T> => {
  try {
    return await body();
  } catch (cause) {
    throw cause instanceof KasaneError ? cause : new KasaneError('DATA_INVALID', messageOf(cause), { cause });
  }
};
export const openPlace = (spec: DataSpec): Promise<DataParts> => asData(() => openData(spec, anywhere));

/** Opens data that no job speaks of yet; where a part of it is damaged, without that, as its notes then say. */
export async function openSound<Data extends object>(data: Data): Promise<{ data: Data; parts: DataParts }> {
  const spec = checkData(data);
  try {
    return { data, parts: await openPlace(spec) };
  } catch (error) {
    if (!('onDamaged' in spec)) throw error;
    const skipping = { ...data, onDamaged: 'skip' };
    const parts = await openPlace(checkData(skipping)).catch(() => {
      throw error;
    });
    return { data: skipping, parts };
  }
}

function targetLine({ target, classes }: Dataset): string {
  if (classes === undefined) return formatField(target);
  return target.shape.length === 0
    ? `a class (${target.dtype})`
    : `${formatField(target)}, tokens below ${classes.toLocaleString('en')}`;
}

function classLines({ train, test, preparation }: DataParts): string[] {
  const counts = train.counts;
  if (!counts) return [];
  const listed = counts.slice(0, LISTED).map((count, label) => {
    const own = preparation.classes?.[label];
    const name = own === undefined || own === String(label) ? '' : ` ${own}`;
    const [some, others] = [count, test.counts?.[label] ?? 0].map((many) => many.toLocaleString('en'));
    return `Class    ${label}${name}: ${some} for training, ${others} for testing`;
  });
  const more = counts.length - listed.length;
  return [`Classes  ${counts.length}`, ...listed, ...(more > 0 ? [`         and ${more} more`] : [])];
}

interface Sheet {
  readonly file: string;
  /** Of each picture, row by row: pictures of letters would need a font, which not every machine has. */
  readonly labels: readonly (readonly string[])[];
}

/** The labels as the pictures lie, so that a person sees whether they are right. */
function sheetLines({ file, labels }: Sheet): string[] {
  const cut = (label: string) => (label.length > LABEL ? `${label.slice(0, LABEL - 1)}\u2026` : label);
  const [, ...rows] = table(
    labels[0]?.map(() => '') ?? [],
    labels.map((row) => Array.from({ length: SHEET_SIDE }, (_, at) => cut(row[at] ?? ''))),
  ).split('\n');
  return [`Sheet    ${file}; its labels, row by row:`, ...rows.map((row) => `         ${row}`)];
}

/** Images from all over the training part, in a square. */
async function writeSheet({ train: part, preparation }: DataParts, file: string): Promise<Sheet> {
  const [height = 0, width = 0, channels = 1, ...more] = part.input.shape;
  if (part.input.dtype !== 'u8' || width === 0 || more.length > 0 || ![1, 3].includes(channels)) {
    throw new KasaneError('USAGE', `--sheet requires images, but the samples are ${formatField(part.input)}`);
  }
  const count = Math.min(SHEET_SIDE ** 2, part.samples);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * part.samples) / count));
  const { inputs, targets } = await readSamples(part, indices);
  const [row, rows] = [SHEET_SIDE * width * channels, Math.ceil(count / SHEET_SIDE)];
  const sheet = new Uint8Array(rows * height * row);
  for (let i = 0; i < count; i++) {
    const [top, left] = [Math.floor(i / SHEET_SIDE) * height, (i % SHEET_SIDE) * width * channels];
    for (let y = 0; y < height; y++) {
      const from = (i * height + y) * width * channels;
      sheet.set(inputs.subarray(from, from + width * channels), (top + y) * row + left);
    }
  }
  const raw = { width: SHEET_SIDE * width, height: rows * height, channels: channels as 1 | 3 };
  await sharp(sheet, { raw }).png().toFile(file);
  const bytes = targets.length / count;
  const labels = Array.from(indices, (_, i) =>
    labelOf(preparation, part, targets.subarray(i * bytes, (i + 1) * bytes)),
  );
  const starts = Array.from({ length: rows }, (_, i) => i * SHEET_SIDE);
  return { file, labels: starts.map((start) => labels.slice(start, start + SHEET_SIDE)) };
}
