/** The same picture as files of its own: in two classes, and in training and test data. */
import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { folder, folderOfEachTest, kinds, outcome, put } from './support/folder-kinds.ts';

folderOfEachTest();

const images = kinds.find(({ kind }) => kind === 'images')!;
const { sample } = images;
const open = (options: Parameters<typeof images.open>[0] = {}) => outcome(images.open(options));
const notesOf = async (options: Parameters<typeof images.open>[0] = {}) => {
  const { notes, ...found } = await open(options);
  return { ...found, notes: notes?.replaceAll(folder, '') };
};
const classes = (...parts: string[]) => {
  for (const part of parts)
    for (const kind of ['cat', 'dog']) for (const i of [1, 2, 3, 4]) sample(`${part}/${kind}/${i}`);
};
const picture = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#123456' } })
  .png()
  .toBuffer();
/** Longer than the beginning that is read of each. */
const noise = await sharp(randomBytes(3 * 200 * 200), { raw: { width: 200, height: 200, channels: 3 } })
  .png()
  .toBuffer();

describe('the same picture in two files', () => {
  it('is refused in two classes, or left out of both', async () => {
    classes('.');
    put('cat/copy.png', picture);
    put('dog/other name.png', picture);
    expect(await open()).toEqual({
      refused:
        "/cat/copy.png and /dog/other name.png: the same image with the labels 'cat' and 'dog'. Keep it only in the right class. Fix this, or set data.onDamaged: skip",
    });
    const { notes, ...found } = await notesOf({ onDamaged: 'skip' });
    expect(found).toMatchObject({ train: 4, test: 4, classes: ['cat', 'dog'] });
    expect(notes).toMatch(/skipped 2 of 10 images: \/cat\/copy\.png and \/dog\/other name\.png: the same/);
  });

  it('is counted apart from what else is wrong', async () => {
    classes('.');
    put('cat/copy.png', picture);
    put('dog/other name.png', picture);
    for (const name of ['owl', 'hen']) put(`${name}/a.txt`, Buffer.from('no picture'));
    const { notes } = await notesOf({ onDamaged: 'skip' });
    expect(notes).toMatch(/^skipped 2 of 10 images, and found 3 problems: /m);
  });

  it('is one sentence for each two folders, and of large files the whole is compared', async () => {
    classes('.');
    for (const i of [1, 2, 3]) {
      const own = Buffer.concat([noise, Buffer.from(`${i}`)]);
      put(`cat/copy ${i}.png`, own);
      put(`owl/${i}.png`, own);
    }
    expect((await open()).refused).toBe(
      "/cat/copy 1.png and /owl/1.png, and 2 more pairs in these folders: each pair is the same image with the labels 'cat' and 'owl'. Keep each only in the right class. Fix this, or set data.onDamaged: skip",
    );
    const bent = Buffer.from(noise);
    bent[90_000]! ^= 1;
    for (const i of [1, 2, 3]) put(`owl/${i}.png`, Buffer.concat([bent, Buffer.from(`${i}`)]));
    expect(await open()).toMatchObject({ classes: ['cat', 'dog', 'owl'] });
  });

  it('is told where it is both trained and tested on', async () => {
    classes('train', 'val');
    put('train/cat/a.png', picture);
    put('val/cat/b.png', picture);
    const told = await notesOf();
    expect(told).toMatchObject({ train: 9, test: 9 });
    expect(told.notes).toMatch(
      '/train/cat/a.png and /val/cat/b.png: the same image, in both the training and the test set, so test results look better than they are. Keep one of the two',
    );
    put('val/dog/b.png', picture);
    put('val/cat/b.png', 'x');
    expect((await notesOf({ onDamaged: 'skip' })).notes).toMatch(
      "/train/cat/a.png and /val/dog/b.png: the same image, in both the training and the test set with the labels 'cat' and 'dog'",
    );
  });

  it('is told where chance puts copies of a class into both parts, and not where a part has them', async () => {
    for (const i of [1, 2, 3, 4, 5, 6]) put(`cat/${i}.png`, picture);
    for (const i of [1, 2, 3, 4]) sample(`dog/${i}`);
    expect((await notesOf()).notes).toMatch(
      /^\/cat\/\d\.png and \/cat\/\d\.png: the same image, in both the training/,
    );
    expect((await notesOf({ test: '.' })).notes).not.toMatch('the same image');
    classes('other');
    expect((await notesOf({ test: 'other', layout: 'whole' })).notes).not.toMatch('the same image');
  });
});
