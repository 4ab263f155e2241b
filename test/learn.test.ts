/**
 * "Learn by layers" (docs/learn): each experiment is run as its job files are, and does what its page says, in both languages. Figures
 * that the pages give are those of these runs; what they promise is a bound.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Experiments, type Run } from './learn/experiments.ts';
import { attentionOfLine, drawings, edgesOf, firstGradients, vectorsOf } from './learn/pictures.ts';
import { CleanUp, TestCluster } from './support/cluster.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let experiments: Experiments;
/** Of the job that one worker trained alone. */
let alone: Run;

const pagesOf = (name: string) =>
  ['docs/learn', 'docs/ja/learn'].map((folder) => readFileSync(join(checkout, folder, `${name}.md`), 'utf8'));
const last = ({ epochs }: Run) => epochs.at(-1)!;
/** In percent, as pages and programs write it. */
const accuracy = (run: Run) => `${(100 * last(run).testMetric).toFixed(2)} %`;

/** The pages of an experiment say all of these. */
function say(page: string, ...words: readonly string[]): void {
  for (const text of pagesOf(page)) for (const word of words) expect(text, page).toContain(word);
}

beforeAll(async () => {
  await cluster.start();
  experiments = new Experiments(cluster, cleanUp);
  await cluster.worker();
  alone = await experiments.run('12-machines');
  for (let worker = 0; worker < 2; worker++) await cluster.worker();
});
afterAll(() => cleanUp.run());

describe('the tour', () => {
  it('has a page in both languages for every experiment, and a job file for every command', () => {
    const list = (folder: string) => readdirSync(join(checkout, folder)).sort();
    const pages = list('docs/learn');
    expect(list('docs/ja/learn')).toEqual(pages);
    const numbers = pages.filter((name) => name !== 'index.md').map((name) => name.slice(0, 2));
    expect(numbers).toEqual(Array.from({ length: 12 }, (_, at) => String(at + 1).padStart(2, '0')));
    const text = pages.flatMap((name) => pagesOf(name.replace('.md', ''))).join('\n');
    for (const job of list('examples/learn')) expect(text).toContain(`train examples/learn/${job}`);
    const pictures = Object.values(drawings).map(({ file }) => file);
    expect(list('docs/images/learn')).toEqual(pictures.sort());
    for (const picture of pictures) expect(text.split(`images/learn/${picture})`)).toHaveLength(3);
  });
});

describe('experiment', () => {
  it('1: a neuron computes "and" as a weighted sum', async () => {
    const run = await experiments.run('01-neuron');
    const [a, b] = run.network.parameter('dense1.weight')!.values;
    const [bias] = run.network.parameter('dense1.bias')!.values;
    const yes = [0, bias!, a! + bias!, b! + bias!].map((sum) => sum > 0);
    expect([...yes, a! + b! + bias! > 0]).toEqual([false, false, false, false, true]);
    say('01-neuron', `${a!.toFixed(1)} a + ${b!.toFixed(1)} b − ${(-bias!).toFixed(1)}`, '100 %');
  });

  it('2: XOR needs something between its layers', async () => {
    const linear = await experiments.run('02-xor-linear');
    const bent = await experiments.run('02-xor-tanh');
    expect(last(linear).testMetric).toBeLessThanOrEqual(0.75);
    expect(last(linear).testLoss).toBeCloseTo(Math.LN2, 3);
    expect(last(bent).testMetric).toBe(1);
    say('02-xor', accuracy(linear), accuracy(bent), '75 %', '0.6931');
  });

  it('3: depth follows the spirals sooner than width', async () => {
    const [shallow, deep] = [await experiments.run('03-shallow'), await experiments.run('03-deep')];
    expect(last(shallow).testMetric).toBeLessThan(0.9);
    expect(last(deep).testMetric).toBeGreaterThan(0.98);
    const parameters = [shallow, deep].map(({ network }) => String(network.parameters.length));
    say('03-depth', accuracy(shallow), accuracy(deep), '90 %', '98 %', ...parameters);
  });

  it('4: filters become edges', async () => {
    const run = await experiments.run('04-filters');
    expect(last(run).testMetric).toBeGreaterThan(0.9);
    expect(edgesOf(run)).toBeGreaterThanOrEqual(3);
    say('04-filters', accuracy(run), '90 %');
  });

  it('5: convolutions mind shifts less, and pooling still less', async () => {
    const names = ['05-dense', '05-conv', '05-pool'];
    const runs: Run[] = [];
    for (const name of names) runs.push(await experiments.run(name));
    const [dense, conv, pool] = runs.map((run) => last(run).testMetric);
    expect(conv! - dense!).toBeGreaterThan(0.05);
    expect(pool! - conv!).toBeGreaterThan(0.05);
    for (const run of runs) expect(last(run).trainMetric).toBeGreaterThan(0.9);
    say('05-shifts', ...runs.map(accuracy));
  });

  it('6: dropout keeps a network from learning wrong labels by heart', async () => {
    const [plain, dropout] = [await experiments.run('06-plain'), await experiments.run('06-dropout')];
    expect(last(plain).trainMetric).toBeGreaterThan(0.99);
    expect(last(dropout).trainMetric).toBeLessThan(0.95);
    expect(last(dropout).testMetric).toBeGreaterThan(last(plain).testMetric);
    expect(last(dropout).testLoss).toBeLessThan(last(plain).testLoss);
    const best = Math.max(...plain.epochs.map(({ testMetric }) => testMetric));
    expect(last(plain).testMetric).toBeLessThan(best - 0.02);
    say('06-dropout', accuracy(plain), accuracy(dropout), '99 %', '95 %');
  });

  it('7: gradients vanish behind sigmoids, and each of three changes brings them back', async () => {
    const plain = await experiments.run('07-sigmoid');
    const ratio = (run: Run) => firstGradients(run)[0]! / firstGradients(run)[9]!;
    expect(ratio(plain)).toBeLessThan(1e-4);
    expect(last(plain).testMetric).toBeLessThan(0.15);
    say('07-gradients', accuracy(plain), ratio(plain).toFixed(7), '0.0001');
    for (const name of ['07-relu', '07-residual', '07-norm']) {
      const run = await experiments.run(name);
      expect(ratio(run), name).toBeGreaterThan(0.1);
      expect(last(run).testMetric, name).toBeGreaterThan(0.5);
      say('07-gradients', accuracy(run), ratio(run).toFixed(2), '50 %');
    }
  });

  it('8: gates remember', async () => {
    const [rnn, lstm, gru] = [
      await experiments.run('08-rnn'),
      await experiments.run('08-lstm'),
      await experiments.run('08-gru'),
    ];
    expect(last(rnn).testMetric).toBeLessThan(0.4);
    expect(last(lstm).testMetric).toBeGreaterThan(0.6);
    expect(last(gru).testMetric).toBeGreaterThan(0.95);
    say('08-memory', ...[rnn, lstm, gru].map(accuracy), '40 %', '60 %', '95 %');
  });

  it('9: attention looks at the letter that it writes', async () => {
    const [run, without] = [await experiments.run('09-attention'), await experiments.run('09-without')];
    expect(last(run).testMetric).toBeGreaterThan(0.55);
    expect(last(without).testMetric).toBeLessThan(0.25);
    const { line, weights } = attentionOfLine(run);
    const seen = weights.slice(8, 16).map((row) => line[row.indexOf(Math.max(...row))]);
    const right = seen.filter((letter, at) => letter === line[9 + at]);
    expect(right.length).toBeGreaterThanOrEqual(7);
    say('09-attention', accuracy(run), accuracy(without), '55 %', '25 %');
  });

  it('10: embeddings put vowels with vowels', async () => {
    const vectors = vectorsOf(await experiments.run('10-embeddings'));
    const groups = ['aiueo', 'kstnhmrg'];
    const centers = groups.map((letters) =>
      [0, 1].map(
        (axis) => [...letters].reduce((sum, letter) => sum + vectors.get(letter)![axis]!, 0) / letters.length,
      ),
    );
    for (const [own, letters] of groups.entries())
      for (const letter of letters) {
        const [x, y] = vectors.get(letter)!;
        const distances = centers.map(([a, b]) => Math.hypot(x - a!, y - b!));
        expect(distances[own]!, letter).toBeLessThan(distances[1 - own]!);
      }
  });

  it('11: what was learned for some digits helps with others', async () => {
    const source = await experiments.run('11-source');
    const [scratch, transfer] = [await experiments.run('11-scratch'), await experiments.run('11-transfer')];
    expect(last(transfer).testMetric).toBeGreaterThan(last(scratch).testMetric + 0.05);
    say('11-transfer', ...[source, scratch, transfer].map(accuracy));
  });

  it('12: any number of workers computes the same bits', async () => {
    const together = await experiments.run('12-machines');
    expect(alone.job.workers).toBe(1);
    expect(together.job.workers).toBeGreaterThan(1);
    expect(together.job.digest).toBe(alone.job.digest);
    say('12-machines', alone.job.digest, accuracy(alone));
  });
});
