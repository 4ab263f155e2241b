/** Links in folders of data: broken ones, loops, and one file under two labels, or in training and test data. */
import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, folderOfEachTest, kinds, openStream, outcome, put } from './support/folder-kinds.ts';

folderOfEachTest();

describe.each(kinds)('links in folders of $kind', { timeout: 60_000 }, ({ kind, sample, open }) => {
  const classes = (...parts: string[]) => {
    for (const part of parts)
      for (const kind of ['cat', 'dog']) for (const i of [1, 2, 3, 4]) sample(`${part}/${kind}/${i}`);
  };
  const ending = kind === 'images' ? 'png' : 'txt';
  const symlink = (to: string, at: string) => symlinkSync(to, join(folder, at));
  const hardlink = (to: string, at: string) => linkSync(join(folder, to), join(folder, at));
  /** The sentences of a refusal or a note, none of which tells to remove what is no link. */
  const both = async () => {
    const { refused = '' } = await outcome(open());
    const skipped = await outcome(open({ onDamaged: 'skip' }));
    expect(refused.replaceAll(/Remove (?:the|one of the) links?\b/g, '')).not.toMatch(/remove|delete/i);
    return { refused, ...skipped, notes: skipped.notes?.replaceAll(folder, '') };
  };

  it('broken links, loops and what is no file are named, or left out', async () => {
    classes('.');
    symlinkSync(join(folder, 'nowhere.png'), join(folder, 'cat/broken.png'));
    symlinkSync(join(folder, 'cat'), join(folder, 'cat/again'));
    symlinkSync('..', join(folder, 'dog/up'));
    symlinkSync('self.txt', join(folder, 'dog/self.txt'));
    symlinkSync('/dev/zero', join(folder, 'dog/endless.png'));
    const { refused } = await outcome(open());
    expect(refused).toMatch(/\/cat\/broken\.png: it is a symbolic link to something that does not exist/);
    expect(refused).toMatch(/\/cat\/again: it is a link back to \/cat\. Remove the link/);
    // Named itself, and not the real folders that are seen through it.
    expect(refused).toMatch(/\/dog\/up: it is a link back to /);
    expect(refused).not.toContain('/dog/up/');
    expect(refused).toMatch(/\/dog\/self\.txt: its symbolic links form a loop/);
    expect(refused).toMatch(/\/dog\/endless\.png: it is a device; only regular files are supported/);
    const skipped = await outcome(open({ onDamaged: 'skip' }));
    expect(skipped).toMatchObject({ train: 4, test: 4 });
    expect(skipped.notes).toMatch(/broken\.png: it is a symbolic link/);
  });

  it('links to files and folders elsewhere are followed', async () => {
    sample('.pool/1');
    for (const i of [1, 2, 3, 4]) for (const name of ['cat', 'dog']) sample(`.pool/${name}/${i}`);
    for (const name of ['cat', 'dog']) symlink(`.pool/${name}`, name);
    mkdirSync(join(folder, 'owl'));
    symlink(`../.pool/1.${ending}`, `owl/1.${ending}`);
    for (const i of [2, 3, 4]) sample(`owl/${i}`);
    const { train, test, classes: found } = await outcome(open());
    expect([train! + test!, found]).toEqual([12, ['cat', 'dog', 'owl']]);
  });

  it('a folder or file of another class, linked, has two labels: the link is named, or left out', async () => {
    classes('.');
    symlink('../cat', 'dog/more');
    const folders = await both();
    expect(folders.refused).toMatch(
      `/dog/more: it is a link to 4 ${kind} of 'cat', which would also get the label 'dog'. Remove the link. Fix this, or set data.onDamaged: skip`,
    );
    expect(folders).toMatchObject({ train: 4, test: 4, classes: ['cat', 'dog'] });
    expect(folders.notes).toContain(`/dog/more: it is a link to 4 ${kind} of 'cat'`);
  });

  it('so has a single linked file, and a class that is a link itself', async () => {
    classes('.');
    symlink(`../cat/1.${ending}`, `dog/5.${ending}`);
    symlink('cat', 'owl');
    const { refused, notes, ...found } = await both();
    expect(refused).toMatch(
      `/dog/5.${ending}: it is a link to 1 ${kind.slice(0, -1)} of 'cat', which would also get the label 'dog'. Remove the link`,
    );
    expect(refused).toMatch(`/owl: it is a link to 4 ${kind} of 'cat', which would also get the label 'owl'`);
    expect(found).toMatchObject({ train: 4, test: 4, classes: ['cat', 'dog'] });
    expect(notes).toMatch(/skipped (?:5|some) of 13 /);
  });

  it('a class that is a link to all others is named once', async () => {
    classes('.');
    symlink('.', 'all');
    const { refused, ...found } = await both();
    expect(refused).toMatch(
      `/all: it is a link to 8 ${kind} of 'cat' and 'dog', which would also get the label 'all'`,
    );
    expect(found).toMatchObject({ train: 4, test: 4, classes: ['cat', 'dog'] });
  });

  it('of hard links, and of links to a file elsewhere, nobody knows the label: all are left out', async () => {
    classes('.');
    hardlink(`cat/1.${ending}`, `dog/5.${ending}`);
    sample('.pool/1');
    for (const name of ['cat', 'dog']) symlink(`../.pool/1.${ending}`, `${name}/9.${ending}`);
    const { refused, ...found } = await both();
    expect(refused).toMatch(
      `/cat/1.${ending} and /dog/5.${ending}: hard links to the same 1 ${kind.slice(0, -1)}, which would get the labels 'cat' and 'dog'. Remove the link in the wrong class`,
    );
    expect(refused).toMatch(`/cat/9.${ending} and /dog/9.${ending}: links to the same 1 `);
    expect(found.train! + found.test!).toBe(7);
  });

  it('many hard links of two classes are one sentence', async () => {
    classes('.');
    mkdirSync(join(folder, 'owl'));
    for (const i of [1, 2]) hardlink(`cat/${i}.${ending}`, `owl/${i}.${ending}`);
    const { refused } = await outcome(open());
    expect(refused).toMatch(
      `/cat and /owl: hard links to the same 2 ${kind}, which would get the labels 'cat' and 'owl'. Remove the links in the wrong class`,
    );
  });

  it('a file that is in its class twice counts once, which is said', async () => {
    classes('.');
    symlink(`1.${ending}`, `cat/5.${ending}`);
    hardlink(`cat/2.${ending}`, `cat/6.${ending}`);
    mkdirSync(join(folder, 'dog/all'));
    for (const i of [1, 2]) symlink(`../${i}.${ending}`, `dog/all/${i}.${ending}`);
    const { notes, ...found } = await outcome(open());
    expect(found).toMatchObject({ train: 4, test: 4 });
    expect(notes).toMatch(`4 ${kind} are ignored, because they are links to others in use`);
  });

  it.each([
    ['the part', '/val', 8, (to: string) => symlink(to, 'val')],
    [
      'a class of it',
      '/val/cat',
      4,
      (to: string) => {
        mkdirSync(join(folder, 'val'));
        for (const name of ['cat', 'dog']) symlink(`../${to}/${name}`, `val/${name}`);
      },
    ],
  ])('a test on what is trained on is refused where %s is a link', async (_, where, count, link) => {
    classes('train');
    link('train');
    const { refused } = await outcome(open());
    expect(refused).toMatch(
      `${where}: because of this link, ${count} ${kind} would be in both the training and the test set. Remove the link`,
    );
    expect((await outcome(open({ onDamaged: 'skip' }))).refused).toMatch(`it contains no usable ${kind}`);
  });

  it('files in both parts are left out of training', async () => {
    classes('train', 'val');
    symlink(`../../train/cat/1.${ending}`, `val/cat/5.${ending}`);
    hardlink(`train/dog/1.${ending}`, `val/dog/6.${ending}`);
    const { refused, ...found } = await both();
    expect(refused).toMatch(
      `/val/cat/5.${ending}: because of this link, 1 ${kind.slice(0, -1)} would be in both`,
    );
    expect(refused).toMatch(
      `/train/dog/1.${ending} and /val/dog/6.${ending}: hard links to the same 1 ${kind.slice(0, -1)}, which would be in both the training and the test set. Remove the link in one of them`,
    );
    expect(found).toMatchObject({ train: 6, test: 10 });
  });

  it('of different labels in the parts, neither is used', async () => {
    classes('train', 'val');
    symlink(`../../train/cat/1.${ending}`, `val/dog/5.${ending}`);
    const { refused, ...found } = await both();
    expect(refused).toMatch(
      /in both the training and the test set, with the labels 'cat' and 'dog'\. Remove the link/,
    );
    expect(found).toMatchObject({ train: 7, test: 8 });
  });

  it('data.test may be data.path, which is said', async () => {
    classes('.');
    const { notes, ...found } = await outcome(open({ test: '.', layout: 'whole' }));
    expect(found).toMatchObject({ train: 8, test: 8 });
    expect(notes).toMatch(/data\.test is the training data/);
  });
});

describe('links in a text to write on', { timeout: 60_000 }, () => {
  it('a file counts once, and is in one part', async () => {
    put('train/a.txt', 'ab'.repeat(21).slice(1));
    put('train/b.txt', 'b'.repeat(39));
    put('valid/c.txt', 'c'.repeat(21));
    symlinkSync('a.txt', join(folder, 'train/again.txt'));
    const twice = await outcome(openStream());
    expect(twice).toMatchObject({ train: 20, test: 5 });
    expect(twice.notes).toMatch(/1 text is ignored, because it is a link to another one in use/);
    symlinkSync('../train/b.txt', join(folder, 'valid/d.txt'));
    expect((await outcome(openStream())).refused).toMatch(
      '/valid/d.txt: because of this link, 1 text would be in both the training and the test set. Remove the link',
    );
    const skipped = await outcome(openStream({ onDamaged: 'skip' }));
    expect(skipped).toMatchObject({ train: 10 });
    expect(skipped.notes).toMatch(/skipped some of 4 texts/);
  });

  it('a test file that is a link to the training file is refused', async () => {
    put('train.txt', 'ab'.repeat(21));
    symlinkSync('train.txt', join(folder, 'valid.txt'));
    expect((await outcome(openStream())).refused).toMatch(
      /\/valid\.txt: because of this link, 1 text would be in both/,
    );
  });
});
