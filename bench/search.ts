/**
 * How much of random search's budget the other searches need to find something as good: on functions of the literature, without any
 * training. Then how long sweeps take that decide the same for any workers, compared with those that never wait (`order: arrival`).
 * A run takes about a minute.
 *
 *     pnpm bench search [--seeds 20] [--trials 100]
 *
 * Ends with 1 when TPE needs more than half of the trials in the median of the seeds, or halving more than a third of the epochs.
 */
import { parseArgs } from 'node:util';
import type { DecidedAction } from '@kasane/coordinator/internal/search/actions';
import { nextAction } from '@kasane/coordinator/internal/search/next-action';
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { searchSchema } from '@kasane/protocol/internal/job/search-schema';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '20' }, trials: { type: 'string', default: '100' } },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => index + 1);
const trials = Number(values.trials);
/** Of a whole training, where trials are stopped early. */
const EPOCHS = 27;

interface Problem {
  readonly parameters: object;
  /** Standard deviation of the losses of random trials. */
  readonly spread: number;
  readonly loss: (x: Readonly<Record<string, number>>, assignment: Assignment) => number;
}

const hartmann = {
  alpha: [1, 1.2, 3, 3.2],
  a: [
    [10, 3, 17, 3.5, 1.7, 8],
    [0.05, 10, 17, 0.1, 8, 14],
    [3, 3.5, 1.7, 10, 17, 8],
    [17, 8, 0.05, 10, 0.1, 14],
  ],
  p: [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
  ],
};

const square = (x: number) => x * x;

const problems: Readonly<Record<string, Problem>> = {
  Branin: {
    parameters: { x: { uniform: [-5, 10] }, y: { uniform: [0, 15] } },
    spread: 51,
    loss: ({ x, y }) =>
      square(y! - (5.1 / (4 * Math.PI ** 2)) * x! ** 2 + (5 / Math.PI) * x! - 6) +
      10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x!) +
      10,
  },
  'Hartmann 6': {
    parameters: Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`x${i}`, { uniform: [0, 1] }])),
    spread: 0.38,
    loss: (x) =>
      -hartmann.alpha.reduce((sum, alpha, i) => {
        const inner = hartmann.a[i]!.reduce((s, a, j) => s + a * square(x[`x${j}`]! - hartmann.p[i]![j]!), 0);
        return sum + alpha * Math.exp(-inner);
      }, 0),
  },
  'Nested space': {
    parameters: {
      optimizer: { choices: ['sgd', 'adam', 'adamw'] },
      rate: { log: [1e-5, 1] },
      momentum: { uniform: [0, 1], when: { optimizer: 'sgd' } },
      decay: { log: [1e-6, 1], when: { optimizer: 'adamw' } },
      layers: { integers: [1, 3] },
      units1: { integers: [8, 512], log: true },
      units2: { integers: [8, 512], log: true, when: { layers: [2, 3] } },
      units3: { integers: [8, 512], log: true, when: { layers: 3 } },
    },
    spread: 2.8,
    // What people find: each optimizer has its rate, a second layer helps, a third less, and widths fall.
    loss: ({ rate, momentum, decay, units1, units2, units3, layers }, { optimizer }) => {
      const off = (value: number, best: number) => square(Math.log10(value / best));
      const byOptimizer =
        optimizer === 'sgd'
          ? 0.3 + off(rate!, 0.1) + 2 * square(momentum! - 0.9)
          : optimizer === 'adam'
            ? 0.2 + off(rate!, 0.002)
            : off(rate!, 0.004) + 0.3 * off(decay!, 0.02);
      const byLayers = [0.5, 0, 0.1][layers! - 1]!;
      return (
        byOptimizer + byLayers + off(units1!, 256) + off(units2 ?? 128, 128) + 0.5 * off(units3 ?? 64, 64)
      );
    },
  },
};

/**
 * Learning curves are power laws that end at the loss. Exponents differ from trial to trial, so that curves cross: after one epoch
 * they say of a trial as much as its loss with an error of a tenth of the spread would.
 */
function lossAfter(final: number, spread: number, trial: number, epochs: number): number {
  const exponent = 0.5 + 0.5 * ((trial * 0.618034) % 1);
  return final + spread * (epochs ** -exponent - EPOCHS ** -exponent);
}

interface Run {
  /** The best of all whole trainings. */
  readonly best: number;
  /** Epochs that were computed until a whole training was as good as asked for; Infinity if none was. */
  readonly spent: number;
}

function run(problem: Problem, search: SearchSpec, epochs: number, target = Number.NEGATIVE_INFINITY): Run {
  const actions: DecidedAction[] = [];
  let [spent, best] = [0, Number.POSITIVE_INFINITY];
  for (;;) {
    const action = nextAction(search, epochs, actions);
    if (action === 'done') return { best, spent: Number.POSITIVE_INFINITY };
    if (action !== 'wait') {
      actions.push(action);
      continue;
    }
    const index = actions.findIndex(({ outcome }) => outcome === undefined);
    const { trial, assignment, epochs: reached } = actions[index]!;
    const final = problem.loss(assignment as Record<string, number>, assignment);
    const outcome = epochs === 1 ? final : lossAfter(final, problem.spread, trial, reached);
    const before = actions.findLast((each, at) => at < index && each.trial === trial)?.epochs ?? 0;
    actions[index] = { ...actions[index]!, outcome };
    spent += reached - before;
    if (reached === epochs) best = Math.min(best, final);
    if (best <= target) return { best, spent };
  }
}

/** How long a sweep takes whose trials run on machines of their own, and differ in speed by up to three times. */
function timeOf(problem: Problem, search: SearchSpec, epochs: number): number {
  const actions: DecidedAction[] = [];
  const running: { readonly index: number; readonly end: number }[] = [];
  for (let now = 0; ; ) {
    const action = nextAction(search, epochs, actions);
    if (action === 'done') return now;
    if (action !== 'wait') {
      const before = actions.findLast(({ trial }) => trial === action.trial)?.epochs ?? 0;
      const slowness = 0.5 + ((action.trial * 0.618034) % 1);
      running.push({ index: actions.length, end: now + (action.epochs - before) * slowness });
      actions.push(action);
      continue;
    }
    const first = running.reduce((a, b) => (b.end < a.end ? b : a));
    running.splice(running.indexOf(first), 1);
    now = first.end;
    const { trial, assignment, epochs: reached } = actions[first.index]!;
    const final = problem.loss(assignment as Record<string, number>, assignment);
    const outcome = epochs === 1 ? final : lossAfter(final, problem.spread, trial, reached);
    actions[first.index] = { ...actions[first.index]!, outcome };
  }
}

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
};

const searchFor = ({ parameters }: Problem, more: object): SearchSpec =>
  ({
    trials,
    ...searchSchema.parse({ trials, parameters, ...more }),
  }) as SearchSpec;

console.log(
  `| problem | random's best of ${trials} | ${['Sobol', 'TPE', 'evolution', 'halving', 'TPE and halving'].join(' | ')} |`,
);
console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
const halving = { eta: 3, minEpochs: 1 };
const bound: Readonly<Record<string, number>> = { TPE: 1 / 2, halving: 1 / 3 };
for (const [name, problem] of Object.entries(problems)) {
  const bests = seeds.map((seed) => run(problem, searchFor(problem, { seed: seed + 1000 }), 1).best);
  const shares = (more: object, epochs: number) =>
    median(
      seeds.map((seed, index) => {
        const search = searchFor(problem, { seed, ...more });
        return run(problem, search, epochs, bests[index]!).spent / (trials * epochs);
      }),
    );
  const columns: Readonly<Record<string, number>> = {
    Sobol: shares({ sampler: 'sobol', trials: 9 * trials }, 1),
    TPE: shares({ sampler: 'tpe' }, 1),
    evolution: shares({ sampler: 'evolution' }, 1),
    halving: shares({ halving, trials: 9 * trials }, EPOCHS),
    'TPE and halving': shares({ sampler: 'tpe', halving, trials: 9 * trials }, EPOCHS),
  };
  const cells = Object.entries(columns).map(([method, share]) => {
    if (share > (bound[method] ?? share)) process.exitCode = 1;
    return Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : 'not reached';
  });
  console.log(`| ${name} | ${median(bests).toFixed(3)} | ${cells.join(' | ')} |`);
}

console.log('\n| trials at once | TPE | halving | TPE and halving |\n| ---: | ---: | ---: | ---: |');
for (const atOnce of [2, 4, 8]) {
  const problem = problems['Hartmann 6']!;
  const methods = [{ sampler: 'tpe' }, { halving }, { sampler: 'tpe', halving }];
  const cells = methods.map((method) => {
    const ratios = seeds.map((seed) => {
      const [decided, arrival] = ['decided', 'arrival'].map((order) =>
        timeOf(problem, searchFor(problem, { seed, atOnce, order, ...method }), EPOCHS),
      );
      return decided! / arrival!;
    });
    return median(ratios).toFixed(2);
  });
  console.log(`| ${atOnce} | ${cells.join(' | ')} |`);
}
