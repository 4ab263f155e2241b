import { readFileSync } from 'node:fs';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { checkJob } from '@kasane/protocol/job';
import { parseJobFile } from '@kasane/protocol/job-file';
import { describe, expect, test } from 'vitest';
import { address, integer, oneOf, trainingFlags, trainingOverrides } from '../src/program/options.ts';

const spec = checkJob(jobPresets['mnist-mlp']).spec;

describe('the table of training flags', () => {
  test('names each option as commander will file it', () => {
    for (const [name, entry] of Object.entries(trainingFlags)) {
      if (!('flag' in entry)) continue;
      const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(entry.flag).toMatch(new RegExp(`^--${words} <`));
    }
  });

  test('covers what the schema knows', () => {
    const known = Object.keys(spec.training);
    expect(known.filter((name) => !Object.hasOwn(trainingFlags, name))).toEqual([]);
  });

  test('takes over what was given and nothing else', () => {
    const given = { epochs: 3, seed: 0, workers: 2 };
    expect(trainingOverrides(given)).toEqual({
      epochs: 3,
      seed: 0,
    });
  });
});

describe('readers', () => {
  test.each(['0', '-1', '1.5', '', ' ', 'x', '1e9', 'NaN', 'Infinity', '300'])(
    'no whole number: %j',
    (text) => {
      expect(() => integer(1, 256)(text)).toThrow(/whole number from 1 to 256/);
    },
  );
  test('a whole number', () => expect(integer(1, 256)('17')).toBe(17));
  test('one of some words', () => {
    expect(oneOf(['a', 'b'])('b')).toBe('b');
    expect(() => oneOf(['a', 'b'])('c')).toThrow(/a, b/);
  });
  test.each(['x', 'x:', ':1', 'x:0', 'x:65536', 'x:y'])('no address: %j', (text) => {
    expect(() => address()(text)).toThrow(/HOST:PORT/);
  });
  test('an address', () => expect(address()('10.0.0.1:7420')).toBe('10.0.0.1:7420'));
});

test.each(Object.keys(jobPresets))('examples/%s.yaml is the preset, written out', (name) => {
  const file = new URL(`../../../examples/${name}.yaml`, import.meta.url);
  const example = parseJobFile(readFileSync(file, 'utf8'), `examples/${name}.yaml`);
  const preset = checkJob(jobPresets[name]);
  const { model: _m, ...rest } = example.spec;
  const { model: _p, ...wanted } = preset.spec;
  // Paths of a file are relative to its folder, those of a preset to the working directory.
  expect(JSON.parse(JSON.stringify(rest).replaceAll('../data/', 'data/'))).toEqual(wanted);
  // As text: it is part of the weights file, and so of the digest.
  expect(JSON.stringify(example.model.description)).toBe(JSON.stringify(preset.model.description));
});
