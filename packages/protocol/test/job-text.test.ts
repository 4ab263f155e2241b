/** Job files that are small and ask for much, or say things twice: each is refused with its line, in bounded time. */
import { describe, expect, it } from 'vitest';
import { KasaneError } from '../src/errors.ts';
import { checkJob } from '../src/job/job.ts';
import { parseJobFile } from '../src/job/job-file.ts';

const head = 'name: a\nmodel: { preset: mnist-mlp }\n';
const list = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');
const laughs = `a: &a [x, x, x, x, x, x, x, x, x, x]\n${list(6, (i) => {
  const [name, before] = [String.fromCharCode(98 + i), String.fromCharCode(97 + i)];
  return `${name}: &${name} [${`*${before}, `.repeat(10)}]`;
})}\n`;

const refused: Record<string, { readonly file: string; readonly says: RegExp }> = {
  'two keys on a line': {
    file: `${head}data:\n  format: csv: x\n`,
    says: /^f:4: this line contains a second ': '/,
  },
  'a tab before a key': { file: `${head}\ttraining: 3\n`, says: /^f:3: this line is indented with a tab/ },
  'a list where layers belong': {
    file: 'name: a\nmodel: { input: [4], classes: 3, layers: dense }\n',
    says: /^f:2: model\.layers: expected a list, such as .*, not text/,
  },
  'flow lists in each other': { file: `${head}x: ${'['.repeat(5000)}`, says: /^f:3: nested more than 32/ },
  'flow lists over several lines': { file: `${head}x: ${'[\n'.repeat(5000)}`, says: /^f:3\d: nested more/ },
  'maps in each other': { file: list(600, (i) => `${' '.repeat(i)}a:`), says: /^f:33: nested more than 32/ },
  'lists on one line': { file: `${'- '.repeat(20_000)}a`, says: /^f:1: nested more than 32/ },
  'keys of keys': { file: `${'? '.repeat(20_000)}a`, says: /^f:1: nested more than 32/ },
  'aliases that grow': { file: laughs, says: /^f:2: its aliases expand to too many values/ },
  'an alias of itself': { file: `${head}x: &x [*x]\n`, says: /^f:3: nested more than 32/ },
  'many aliases': {
    file: `${head}x: &x 1\n${list(200, (i) => `k${i}: *x`)}`,
    says: /^f:104: more than 100 al/,
  },
  'maps that each merge the one before': {
    file: `${head}m0: &m0 { k: 0 }\n${list(1_000, (i) => `m${i + 1}: &m${i + 1} { <<: *m${i}, k${i}: 1 }`)}`,
    says: /^f:4: merge keys/,
  },
  'aliases of aliases, each on its line': {
    file: `${head}k0: &a0 1\n${list(3_000, (i) => `k${i + 1}: &a${i + 1} *a${i}`)}`,
    says: /^f:4: /,
  },
  'an unknown alias': {
    file: `${head}init: *x\n`,
    says: /^f:3: no value before this line has the anchor '&x'/,
  },
  'empty lines': { file: '\n'.repeat(200_000), says: /^f: more than 20000 lines/ },
  'lines of comments': { file: `${head}${'# a\n'.repeat(60_000)}`, says: /^f: more than 20000 lines/ },
  'more bytes than a job has': {
    file: `${head}#${'é'.repeat(200_000)}`,
    says: /^f: 400038 bytes; at most 262144 are allowed/,
  },
  'many keys': { file: head + list(15_000, (i) => `k${i}: 1`), says: /^f:\d+: more than 20000 keys/ },
  'many values': { file: `${head}x: [${'1,'.repeat(100_000)}]`, says: /^f:3: more than 20000 keys/ },
  'a key twice': { file: `${head}name: b\n`, says: /^f:3: the key 'name' appears twice/ },
  'a key twice, of JSON': {
    file: '{"name": "a",\n"name": "b"}',
    says: /^f:2: the key 'name' appears twice/,
  },
  'a key twice, quoted': { file: `${head}"name": b\n`, says: /^f:3: the key 'name' appears twice/ },
  'a prototype': { file: `${head}__proto__: { init: x }\n`, says: /^f:3: __proto__: unknown key/ },
  'a prototype inside': {
    file: 'name: a\nmodel:\n  preset: gpt\n  __proto__: { heads: 2 }\n',
    says: /^f:4: model\.__proto__: unknown key/,
  },
  'a constructor': { file: `${head}constructor: 1\n`, says: /^f:3: constructor: unknown key/ },
  'a list as a key': { file: `${head}? [a, b]\n: 1\n`, says: /^f:3: a key is a list/ },
  'two documents': { file: `${head}---\nname: b\n`, says: /^f:3: a second document begins here/ },
  'a tag of others': {
    file: 'name: !!js/function "x"\n',
    says: /^f:1: a tag, which begins with !, is not s/,
  },
  'a merge key': {
    file: `${head}x: &x { batch: 64 }\ntraining:\n  <<: *x\n`,
    says: /^f:5: merge keys \('<<'\) are not supported\. Write the keys out, or .* 'extends'/,
  },
  'a brace that is not closed': {
    file: 'name: a\nmodel: { layers: [ { type: relu } ]\ndata: { format: idx }\n',
    says: /^f:2: the { on this line is not closed\. Add a }$/,
  },
  'a brace of a list that is not closed': {
    file: 'name: a\nmodel:\n  layers:\n    - { type: dense, units: 10\n    - { type: relu }\nx: 1\n',
    says: /^f:4: the { on this line is not closed/,
  },
  'a bracket that is not closed before the next key': {
    file: 'name: a\nmodel:\n  input: [784,\n  classes: 10\n',
    says: /^f:3: the \[ on this line is not closed\. Add a \]$/,
  },
  'a brace that is not closed at the end': {
    file: `${head}training: { epochs: 1\n`,
    says: /^f:3: the { on this line is not closed/,
  },
  'a bracket in the place of a brace': {
    file: 'name: a\nmodel: { input: [784}, classes: 10 }\n',
    says: /^f:2: the \[ on this line is not closed before a }/,
  },
  'a brace too many': { file: `${head}data: { format: idx }}\n`, says: /^f:3: this } closes nothing/ },
  'lines in braces that are not indented': {
    file: 'name: a\nmodel: {\npreset: mnist-mlp\n}\n',
    says: /^f:2: the lines between the { on this line and its } are not indented/,
  },
  'a quotation mark that is not closed': {
    file: 'name: "a\nmodel: { preset: mnist-mlp }\n',
    says: /^f:1: the " on this line is not closed/,
  },
  'a quotation mark in a text': {
    file: `${head}data: { path: 'it's.csv' }\n`,
    says: /^f:3: there is text after a closing '\. For a ' within the text, write ''$/,
  },
  'a path of Windows between double quotes': {
    file: `${head}data: { path: "C:\\data" }\n`,
    says: /^f:3: a '\\' between double quotes .* Use single quotes/,
  },
  'a path with a star': {
    file: `${head}init: *.safetensors\n`,
    says: /^f:3: no value before this line .* If '\*\.safetensors' is text, put it in quotes/,
  },
  'a key without a space after it, in braces': {
    file: `${head}training: { epochs:1 }\n`,
    says: /^f:3: 'epochs:1' needs a space after its ':'$/,
  },
  'keys without a space after them': {
    file: `${head}training:\n  epochs:1\n  batch:2\n`,
    says: /^f:3: training: expected keys .*, not text; write a space after each colon$/,
  },
  'a comment without a space before it': {
    file: `${head}data: { format: idx }# x\n`,
    says: /^f:3: a comment needs a space before its '#'/,
  },
  'a wide colon': {
    file: 'name: a\nmodel： { preset: gpt }\n',
    says: /^f:2: model： { preset: unknown key/,
  },
};

describe('a job file with', () => {
  it.each(Object.entries(refused))('%s is refused with its line', (_, { file, says }) => {
    let refusal: unknown;
    const before = process.cpuUsage();
    try {
      parseJobFile(file, 'f');
    } catch (error) {
      refusal = error;
    }
    const { user, system } = process.cpuUsage(before);
    expect(refusal).toBeInstanceOf(KasaneError);
    expect((refusal as KasaneError).message).toMatch(says);
    expect(['JOB_INVALID', 'LIMIT']).toContain((refusal as KasaneError).code);
    // One of these took 165 s. This is work, not time that others take.
    expect((user + system) / 1e6, 'seconds of CPU').toBeLessThan(5);
  });

  it('anchors and aliases is read', () => {
    const file = 'name: a\nmodel: { preset: mnist-mlp }\ntraining: { batch: &b 64, shards: *b }\n';
    expect(parseJobFile(file, 'f').spec.training.shards).toBe(64);
  });
});

it('a job that is no text is held to the same', () => {
  let deep: unknown = 1;
  for (let level = 0; level < 10_000; level++) deep = [deep];
  expect(() => checkJob({ name: 'a', model: deep })).toThrow(/nested more than 32/);
  expect(() => checkJob(JSON.parse('{"name": "a", "model": {"__proto__": {}}}'))).toThrow(/model\.__proto__/);
});

it('says the first faults of many, and how many there are', () => {
  const keys = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, 1]));
  const many = {
    name: 'a',
    model: { preset: 'gpt' },
    data: { format: 'csv', path: 'x', target: 'y', columns: keys },
  };
  const messages = (() => {
    try {
      checkJob(many);
    } catch (error) {
      return (error as Error).message.split('\n');
    }
    return [];
  })();
  expect(messages).toHaveLength(11);
  expect(messages[10]).toBe('and 490 more');
});
