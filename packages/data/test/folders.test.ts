/** How folders are laid out, whatever lies in them: parts of a data set, classes, hidden files. Of links: links.test.ts. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../src/dataset.ts';
import { filesBelow, isHidden } from '../src/files/folder.ts';
import { locateParts } from '../src/files/layout.ts';
import {
  folder,
  folderOfEachTest,
  kinds,
  type Options,
  openStream,
  outcome,
  put,
} from './support/folder-kinds.ts';

folderOfEachTest();

describe.each(kinds)('folders of $kind', { timeout: 60_000 }, ({ sample, open }) => {
  const classes = (...parts: string[]) => {
    for (const part of parts)
      for (const kind of ['cat', 'dog']) for (const i of [1, 2]) sample(`${part}/${kind}/${i}`);
  };

  it.each([
    ['train', 'valid'],
    ['Train', 'Test'],
    ['TRAINING', 'validation'],
    ['tr', 'te'],
    ['train', 'dev'],
    ['training_set', 'test_set'],
    ['train2017', 'val2017'],
    ['train_images', 'eval'],
    ['trainset', 'testset'],
  ])('%s and %s are parts, and it is said', async (train, test) => {
    classes(train, test);
    const { notes, ...found } = await outcome(open());
    expect(found).toEqual({ train: 4, test: 4, classes: ['cat', 'dog'] });
    expect(notes).toContain(
      `trains on '${train}' and tests on '${test}'; set data.layout: whole if they are classes`,
    );
  });

  it('of three parts the test part tests, and the third is named', async () => {
    classes('train', 'valid', 'test');
    const found = await outcome(open());
    expect(found).toMatchObject({ train: 4, test: 4 });
    expect(found.notes).toMatch(/trains on 'train' and tests on 'test'; ignores 'valid'/);
  });

  it('what is doubtful is refused with what settles it', async () => {
    classes('train');
    sample('cat/1');
    sample('cat/2');
    const doubtful = await outcome(open());
    expect(doubtful.refused).toMatch(
      /^: 'train' looks like a part of a dataset, 'cat' does not\. Set data\.layout: parts .* or whole/,
    );
    expect(await outcome(open({ layout: 'whole' }))).toMatchObject({ classes: ['cat', 'train'] });
    const parts = await outcome(open({ layout: 'parts' }));
    expect(parts).toMatchObject({ classes: ['cat', 'dog'], train: 2, test: 2 });
    expect(parts.notes).toMatch(/tests on a part of it; ignores 'cat'/);
  });

  it.each([
    [['train'], /'train' is all it contains\. Set data\.path: \/train if/],
    [['valid', 'test'], /'test', 'valid' look like parts of a dataset, but there is no 'train'/],
    [['train', 'Train', 'test'], /both 'Train', 'train' may be the train part/],
    [['train', 'test', 'testing'], /both 'test', 'testing' may be the test part\. Set data\.test/],
    [['seg_train', 'seg_test'], /'seg_test', 'seg_train' look like parts.*Set data\.path and data\.test/],
    [['cat', 'dog', 'test'], /'test' looks like a part of a dataset, 'cat', 'dog' do not/],
  ])('%j are refused', async (parts, message) => {
    classes(...parts);
    expect((await outcome(open())).refused).toMatch(message);
  });

  it.each([
    ['en', 'de', 'tr'],
    ['valid', 'invalid'],
    ['tr', 'te'],
    ['sales', 'dev', 'support'],
    ['constructor', '__proto__', 'toString'],
    ['trained', 'untrained'],
    ['latest', 'contest'],
  ])('%s, %s ... are classes', async (...names) => {
    for (const name of names) for (const i of [1, 2, 3, 4]) sample(`${name}/${i}`);
    expect((await outcome(open())).classes).toEqual([...names].sort());
  });

  it('data.test may lie in data.path, which then trains on the rest', async () => {
    classes('.', 'test');
    expect(await outcome(open({ test: 'test' }))).toMatchObject({
      train: 4,
      test: 4,
      classes: ['cat', 'dog'],
    });
    classes('train', 'valid');
    rmSync(join(folder, 'cat'), { recursive: true });
    rmSync(join(folder, 'dog'), { recursive: true });
    const chosen = await outcome(open({ test: 'valid' }));
    expect(chosen).toMatchObject({ train: 4, test: 4 });
    expect(chosen.notes).toMatch(/tests on 'valid'; ignores 'test'/);
  });

  it('what is hidden or left behind is ignored everywhere', async () => {
    classes('train', 'test');
    const whole = await outcome(open());
    const left = ['.hg', '.ipynb_checkpoints', '__MACOSX', '@eaDir', '.git', '$RECYCLE.BIN', 'Lost+Found'];
    for (const name of left) for (const at of ['', 'train', 'train/cat', 'test']) sample(`${at}/${name}/x`);
    for (const name of [
      'Thumbs.db',
      'desktop.ini',
      '._1.png',
      '._1.txt',
      '1.txt~',
      '.DS_Store',
      '#1.txt#',
      '~$1.txt',
    ])
      for (const at of ['', 'train', 'train/dog', 'test/cat'])
        put(`${at}/${name}`, Buffer.from([0, 5, 22, 7, 255]));
    expect(await outcome(open())).toEqual(whole);
  });

  it('a folder that is called like a file is a folder', async () => {
    for (const kind of ['a.jpg', 'b.txt']) for (const i of [1, 2, 3, 4]) sample(`${kind}/deep.png/${i}`);
    expect((await outcome(open())).classes).toEqual(['a.jpg', 'b.txt']);
  });

  it.runIf(process.platform === 'linux')('a name that is no UTF-8 is named, with what to do', async () => {
    classes('.');
    const latin = Buffer.concat([Buffer.from(join(folder, 'cat')), Buffer.from('/caf\xe9.png', 'latin1')]);
    writeFileSync(latin, Buffer.from('x'));
    const { refused } = await outcome(open());
    expect(refused).toMatch(/cat\/caf\ufffd\.png: its name is not UTF-8; rename the file/);
  });

  it('accents count the same however they are encoded', async () => {
    for (const i of [1, 2]) {
      for (const kind of ['cafe\u0301', 'the']) sample(`train/${kind}/${i}`);
      for (const kind of ['caf\u00e9', 'the']) sample(`test/${kind}/${i}`);
    }
    expect(await outcome(open())).toMatchObject({ train: 4, test: 4, classes: ['caf\u00e9', 'the'] });
    sample('train/caf\u00e9/3');
    expect((await outcome(open())).refused).toMatch(/two folders are named 'caf\u00e9'.*NFC and NFD/);
  });

  it('classes that differ only in case are said, and none is guessed from another', async () => {
    for (const kind of ['a', 'A']) for (const i of [1, 2]) sample(`train/${kind}/${i}`);
    sample('test/a/1');
    expect((await outcome(open())).notes).toMatch(/class names 'A' and 'a' differ only in case/);
    sample('test/B/1');
    sample('train/b/1');
    expect((await outcome(open())).refused).toMatch(
      /class 'B' is not among the classes of \/train, but 'b' is: rename/,
    );
  });

  it('one class alone is refused, with what is likely wrong', async () => {
    classes('photos');
    expect((await outcome(open())).refused).toMatch(
      /'photos' is the only class; expected at least two\. It contains 2 folders: .*data\.path: \/photos/,
    );
    rmSync(join(folder, 'photos'), { recursive: true });
    sample('cat/1');
    expect((await outcome(open())).refused).toMatch(/'cat' is the only class/);
    mkdirSync(join(folder, 'dog'));
    expect((await outcome(open())).refused).toMatch(/\/dog: this class has no usable/);
    expect((await outcome(open({ onDamaged: 'skip' }))).refused).toMatch(/'cat' is the only class/);
  });

  it('files beside the class folders are told, a flat folder is refused', async () => {
    classes('.');
    sample('loose');
    expect((await outcome(open())).notes).toMatch(/1 (?:images|texts) next to the class folders are ignored/);
    for (const kind of ['cat', 'dog']) rmSync(join(folder, kind), { recursive: true });
    expect((await outcome(open())).refused).toMatch(
      /it has 1 (?:images|texts) and no folders; expected one folder per class/,
    );
  });
});

describe('texts to write on', { timeout: 60_000 }, () => {
  const open = (options: Options = {}) => outcome(openStream(options));

  it.each([
    ['train.txt', 'valid.txt'],
    ['Train/a.txt', 'TEST/b.md'],
  ])('%s and %s are parts', async (train, test) => {
    put(train, 'ab'.repeat(21).slice(1));
    put(test, 'b'.repeat(21));
    const found = await open();
    expect(found).toMatchObject({ train: 10, test: 5 });
    expect(found.notes).toMatch(
      /trains on '.*' and tests on '.*'; set data\.layout: whole if they are one text/,
    );
    expect(await open({ layout: 'whole' })).toMatchObject({ notes: '' });
    put('chapter.md', 'c'.repeat(20));
    expect((await open()).refused).toMatch(/look like parts of a dataset, 'chapter.md' does not/);
  });

  it('a chapter that happens to be called so is a chapter', async () => {
    put('intro.md', 'a'.repeat(40));
    put('training.md', 'b'.repeat(41));
    expect(await open()).toMatchObject({ train: 10, notes: '' });
  });

  it('files that are no UTF-8 text are named, or left out', async () => {
    put('a.txt', '\ufefffirst '.repeat(10));
    put('latin.txt', Buffer.from('caf\xe9', 'latin1'));
    put('wide.txt', Buffer.from('\ufeffwide', 'utf16le'));
    put('bare-wide.txt', Buffer.from('wide', 'utf16le'));
    put('empty.txt', '');
    const { refused } = await open();
    expect(refused).toMatch(/latin\.txt:1: it is not UTF-8\. Save the file as UTF-8/);
    expect(refused).toMatch(/\/wide\.txt: it is not UTF-8 but UTF-16/);
    expect(refused).toMatch(/bare-wide\.txt: it contains NUL characters/);
    const { notes } = await open({ onDamaged: 'skip' });
    expect(notes).toMatch(/^skipped some of 5 texts: /);
  });
});

describe('by property', () => {
  const segment = fc
    .oneof(
      fc.constantFrom(
        'train',
        'Test',
        'valid',
        'cat',
        'x.jpg',
        '__proto__',
        'constructor',
        '.git',
        'Thumbs.db',
        '@eaDir',
        'a~',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    )
    .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..');
  /** Paths of up to three segments, each a file, a link to another of them, or to nothing. */
  const tree = fc.array(
    fc.record({
      path: fc.array(segment, { minLength: 1, maxLength: 3 }),
      kind: fc.constantFrom('file', 'file', 'file', 'loop', 'broken'),
    }),
    { maxLength: 12 },
  );
  const build = (entries: { path: string[]; kind: string }[]) => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    for (const { path, kind } of entries) {
      const at = join(folder, ...path);
      try {
        mkdirSync(dirname(at), { recursive: true });
        if (kind === 'file') writeFileSync(at, 'text');
        else symlinkSync(kind === 'loop' ? folder : join(folder, 'no such thing'), at);
      } catch {
        // A file stands where a folder would be.
      }
    }
  };

  it('walking ends, finds nothing hidden, and keeps one order', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        build(entries);
        const { files, problems } = filesBelow(folder);
        for (const file of files) {
          expect(
            file
              .slice(folder.length + 1)
              .split('/')
              .some(isHidden),
          ).toBe(false);
        }
        expect(new Set(files).size).toBe(files.length);
        for (const problem of problems) expect(problem).toMatch(/: (?:a link|it|its) /);
        build([...entries].reverse());
        expect(new Set(filesBelow(folder).files.map((file) => dirname(file)))).toBeInstanceOf(Set);
      }),
      { numRuns: 60 },
    );
  });

  it('a layout is found or refused in one line, the same each time', () => {
    fc.assert(
      fc.property(
        tree,
        fc.constantFrom('classes', 'text'),
        fc.constantFrom('auto', 'parts', 'whole'),
        (entries, content, layout) => {
          build(entries);
          const found = () => {
            try {
              const { train, test, notes } = locateParts({ path: folder, layout, content });
              return { train, test, notes };
            } catch (error) {
              expect(error).toBeInstanceOf(DataError);
              return (error as Error).message;
            }
          };
          expect(found()).toEqual(found());
        },
      ),
      { numRuns: 60 },
    );
  });
});
