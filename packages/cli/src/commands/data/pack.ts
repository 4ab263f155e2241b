/** `kasane data pack`: writes packed data, of what a job could read and of arrays, images and lists in files of their own. */
import { packSamples } from '@kasane/data/internal/packed/pack-samples';
import { openRecordFile } from '@kasane/data/internal/records/open-record-file';
import { sampleKind } from '@kasane/data/internal/records/open-samples';
import { sampleOptions } from '@kasane/data/internal/records/pack-options';
import { recordKind } from '@kasane/data/internal/records/record-file';
import { packData } from '@kasane/data/pack';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { placeFromHere } from '../../files/read-job.ts';
import { err, out } from '../../output/say.ts';
import { isScreen } from '../../output/terminal.ts';
import { count } from '../../render/count.ts';
import { asData, type DataCommand, isJob, openPlace, requireOutside, specOf } from './data.ts';
import { settingsOf } from './settings.ts';

export interface PackCommand extends DataCommand {
  readonly json?: boolean;
}

interface Packed {
  readonly train: number;
  readonly test: number;
  readonly digest: string;
  readonly notes: readonly string[];
}

export async function pack(place: string, folder: string, options: PackCommand): Promise<void> {
  const given = isJob(place) ? undefined : settingsOf(options.set);
  const path = placeFromHere(place);
  const packed =
    given && (await asData(() => isPackedBySample(path, given)))
      ? await packFiles(path, given, folder)
      : await packSpec(place, folder, options);
  const { train, test, digest, notes } = packed;
  const line = `${folder}: ${count(train, 'sample')} for training, ${test.toLocaleString('en')} for testing, SHA-256 of its index ${digest}`;
  out.lines(options.json ? JSON.stringify({ folder, train, test, digest, notes }) : line);
}

type Given = Readonly<Record<string, unknown>>;

/** Whether data is packed sample by sample, and not as what a job could read. @throws DataError where that is doubtful */
async function isPackedBySample(path: string, given: Given): Promise<boolean> {
  if ('format' in given) return false;
  const kind = sampleKind(path);
  if (kind === undefined || kind !== 'records') return kind !== undefined;
  if ('input' in given || 'inputType' in given || recordKind(path) === undefined) return true;
  if (kindOfPath(path) !== 'file') return true;
  const { columns } = await openRecordFile(path, 'skip');
  const plain = columns.filter(({ nested }) => nested === undefined);
  if (plain.length === columns.length) return false;
  const [list] = columns.filter(({ nested }) => nested !== undefined);
  if (plain.length <= 1) return true;
  throw new KasaneError(
    'DATA_INVALID',
    `${path}: '${list!.name}' holds ${list!.nested}, and ${plain.length} other columns single values. To pack '${list!.name}' as the input, add --set input=${list!.name} and --set target=COLUMN; to pack the others as a table, add --set format=csv and --set target=COLUMN`,
  );
}

async function packFiles(path: string, given: Given, folder: string): Promise<Packed> {
  requireOutside({ path, ...given }, folder, refusal(folder));
  const say = progress();
  const packed = await asData(() =>
    packSamples(sampleOptions({ ...given, path }), folder, (done) => say(done)),
  );
  const all = packed.train + packed.test;
  say(all, all);
  if (packed.notes.length > 0) err.lines(...packed.notes);
  return packed;
}

async function packSpec(place: string, folder: string, options: PackCommand): Promise<Packed> {
  const spec = await specOf(place, options.set);
  requireOutside(spec, folder, refusal(folder));
  const parts = await openPlace(spec);
  const { train, test, notes = [] } = parts;
  if (notes.length > 0) err.lines(...notes);
  const say = progress();
  try {
    const digest = await packData(parts, folder, say);
    return { train: train.samples, test: test.samples, digest, notes };
  } catch (error) {
    throw new KasaneError('DATA_INVALID', messageOf(error), { cause: error });
  }
}

const refusal = (folder: string) => (around: string) =>
  `${folder}: it is inside the data to pack, ${around}; choose a folder outside of it`;

/** Writes how far it is, twice a second. */
function progress(): (done: number, all?: number) => void {
  let said = 0;
  return (done, all) => {
    const now = performance.now();
    if (now - said < 500 && done !== all) return;
    said = now;
    const so = all === undefined ? '' : ` of ${all}`;
    const end = done === all ? '\n' : '';
    if (isScreen(process.stderr)) process.stderr.write(`\r${done}${so} samples${end}`);
  };
}
