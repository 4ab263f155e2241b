/** Folders of images and of texts, for tests: the rules are the same, so each case is tried with both. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { DataError, type DataParts } from '../../src/dataset.ts';
import type { Layout } from '../../src/files/layout.ts';
import { openImageFolder } from '../../src/images/image-folder.ts';
import { openText } from '../../src/text/text.ts';

/** The folder of the test that runs. */
export let folder: string;
let picture: Buffer;

/** Gives each test of the file that calls this a folder of its own. */
export function folderOfEachTest(): void {
  beforeAll(async () => {
    picture = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#345678' } })
      .png()
      .toBuffer();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kasane-folders-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
}

/** Writes a file in it, and the folders on the way. */
export const put = (name: string, bytes: Uint8Array | string = 'x') => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};

export interface Options {
  readonly test?: string;
  readonly layout?: Layout;
  readonly onDamaged?: 'fail' | 'skip';
}
export interface Kind {
  readonly kind: string;
  /** Puts a sample that can be used. */
  readonly sample: (name: string) => void;
  readonly open: (options?: Options) => Promise<DataParts>;
}
export const kinds: readonly Kind[] = [
  {
    kind: 'images',
    // What follows the end tells pictures apart: the same one in two classes is refused.
    sample: (name) => put(`${name}.png`, Buffer.concat([picture, Buffer.from(name.slice(-40))])),
    open: ({ layout = 'auto', onDamaged = 'fail', test } = {}) =>
      openImageFolder({
        ...{ format: 'imagefolder', path: folder, layout, onDamaged, validation: 0.5, seed: 1, size: 4 },
        ...{ channels: 3, fit: 'cover', background: 'auto', mean: 0, std: 1 },
        ...(test !== undefined && { test: join(folder, test) }),
      }),
  },
  {
    kind: 'texts',
    sample: (name) => put(`${name}.txt`, `a text about ${name}`),
    open: ({ layout = 'auto', onDamaged = 'fail', test } = {}) =>
      openText({
        ...{ format: 'text', path: folder, layout, onDamaged, validation: 0.5, seed: 1, context: 8 },
        ...{ objective: 'classification', tokenizer: 'byte', vocabulary: 300, text: 'text', label: 'label' },
        ...{ delimiter: ',', pad: 'front' },
        ...(test !== undefined && { test: join(folder, test) }),
      }),
  },
];
/** What came of it, without the folder's own path. */
export const outcome = async (opening: Promise<DataParts>) => {
  try {
    const { train, test, preparation, notes = [] } = await opening;
    return {
      train: train.samples,
      test: test.samples,
      classes: preparation.classes,
      notes: notes.join('\n'),
    };
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).not.toMatch(/\n|\b(?:ENOENT|ELOOP|EISDIR|EACCES|ENOTDIR)\b/);
    return { refused: (error as Error).message.replaceAll(folder, '') };
  }
};

/** A text to write on, whatever lies in the folder. */
export const openStream = ({ layout = 'auto', onDamaged = 'fail', test }: Options = {}): Promise<DataParts> =>
  openText({
    ...{ format: 'text', path: folder, layout, onDamaged, validation: 0.5, seed: 1, context: 4 },
    ...{ objective: 'next-token', tokenizer: 'byte', vocabulary: 300, text: 'text', label: 'label' },
    ...{ delimiter: ',', pad: 'front' },
    ...(test !== undefined && { test: join(folder, test) }),
  });
