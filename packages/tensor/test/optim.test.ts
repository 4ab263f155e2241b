import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cosineOfPi, exponentialOf, logarithmOf, powerOf } from '../src/optim/exact.ts';
import { type OptimizerOptions, optimizerFor } from '../src/optim/optimizers.ts';
import { learningRate, type Schedule } from '../src/optim/schedules.ts';
import { evaluateScalar } from '../src/scalar/evaluate.ts';

/** Updates one parameter five times through the expressions; the gradient is 2 (p - 3) + 0.1 step. */
function run(options: OptimizerOptions, rate: number): number[] {
  const { update, state: names, scalars } = optimizerFor(options);
  let p = 1.5;
  let state: number[] = names.map(() => 0);
  return Array.from({ length: 5 }, (_, step) => {
    const inputs = [p, gradientAt(p, step), ...state];
    const values = scalars(step, rate);
    p = evaluateScalar(update.parameter, inputs, values);
    state = update.state.map((next) => evaluateScalar(next, inputs, values));
    return p;
  });
}

const gradientAt = (p: number, step: number) => 2 * (p - 3) + 0.1 * step;

/** The textbook loops that the expressions must agree with. */
function sgd(rate: number, momentum: number, nesterov: boolean, decay: number): number[] {
  let [p, v] = [1.5, 0];
  return Array.from({ length: 5 }, (_, step) => {
    const g = gradientAt(p, step) + decay * p;
    v = momentum * v + g;
    p -= rate * (nesterov ? g + momentum * v : v);
    return p;
  });
}

function adam(
  rate: number,
  b1: number,
  b2: number,
  epsilon: number,
  decay: number,
  decoupled: boolean,
): number[] {
  let [p, m, v] = [1.5, 0, 0];
  return Array.from({ length: 5 }, (_, step) => {
    const g = gradientAt(p, step) + (decoupled ? 0 : decay * p);
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    if (decoupled) p *= 1 - rate * decay;
    p -= (rate * (m / (1 - b1 ** (step + 1)))) / (Math.sqrt(v / (1 - b2 ** (step + 1))) + epsilon);
    return p;
  });
}

describe('optimizers', () => {
  it.each([
    [{ type: 'sgd' }, sgd(0.1, 0, false, 0)],
    [{ type: 'sgd', weightDecay: 0.2 }, sgd(0.1, 0, false, 0.2)],
    [{ type: 'sgd', momentum: 0.9 }, sgd(0.1, 0.9, false, 0)],
    [{ type: 'sgd', momentum: 0.8, nesterov: true, weightDecay: 0.01 }, sgd(0.1, 0.8, true, 0.01)],
    [{ type: 'adam' }, adam(0.1, 0.9, 0.999, 1e-8, 0, false)],
    [
      { type: 'adam', beta1: 0.5, beta2: 0.7, epsilon: 0.1, weightDecay: 0.3 },
      adam(0.1, 0.5, 0.7, 0.1, 0.3, false),
    ],
    [{ type: 'adamw', weightDecay: 0.3 }, adam(0.1, 0.9, 0.999, 1e-8, 0.3, true)],
  ] as const)('%j updates as the formula says', (options, expected) => {
    run(options, 0.1).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 12);
    });
  });

  it('keeps no state that it does not need', () => {
    expect(optimizerFor({ type: 'sgd' }).state).toEqual([]);
    expect(optimizerFor({ type: 'sgd', momentum: 0.9 }).state).toEqual(['momentum']);
    expect(optimizerFor({ type: 'adam' }).state).toEqual(['mean', 'square']);
  });

  it.each([
    [{ type: 'sgd', momentum: 1 }, /sgd: momentum is 1; expected 0 <= momentum < 1/],
    [{ type: 'sgd', nesterov: true }, /nesterov requires a momentum above 0/],
    [{ type: 'sgd', weightDecay: -1 }, /weightDecay is -1; expected a finite number/],
    [{ type: 'adam', beta2: 1 }, /adam: beta2 is 1/],
    [{ type: 'adamw', epsilon: 0 }, /adamw: epsilon is 0; expected a positive number/],
    [{ type: 'adam', beta1: Number.NaN }, /beta1 is NaN/],
  ] as const)('refuses %j', (options, message) => {
    expect(() => optimizerFor(options)).toThrow(message);
  });
});

describe('exact arithmetic', () => {
  it('cosineOfPi is a cosine', () => {
    for (let t = 0; t <= 1; t += 1 / 64)
      expect(Math.abs(cosineOfPi(t) - Math.cos(Math.PI * t))).toBeLessThan(1e-15);
    expect(cosineOfPi(0)).toBe(1);
    expect(cosineOfPi(1)).toBe(-1);
  });

  it('powerOf is a power', () => {
    expect([0, 1, 2, 5, 10].map((n) => powerOf(2, n))).toEqual([1, 2, 4, 32, 1024]);
    expect(powerOf(0.999, 12345) / 0.999 ** 12345).toBeCloseTo(1, 12);
    expect(powerOf(0.9, 2 ** 40)).toBe(0);
  });

  it('logarithmOf and exponentialOf are what they say, over all that is drawn', () => {
    for (const value of [2 ** -1022, 1e-300, 2 ** -24, 0.1, 0.7, 1, 1.4143, 2, 3, 1e5, 1e300]) {
      expect(logarithmOf(value)).toBeCloseTo(Math.log(value), 12);
    }
    for (let x = -700; x <= 700; x += 12.3) expect(exponentialOf(x) / Math.exp(x)).toBeCloseTo(1, 12);
    expect([logarithmOf(1), exponentialOf(0)]).toEqual([0, 1]);
  });
});

describe('learningRate', () => {
  const peak = 0.4;
  const rates = (schedule: Schedule, total: number) =>
    Array.from({ length: total }, (_, step) => learningRate(schedule, step, total));

  it('constant stays, after a warm-up that rises in equal steps', () => {
    expect(rates({ type: 'constant', learningRate: peak }, 3)).toEqual([peak, peak, peak]);
    const warm = rates({ type: 'constant', learningRate: peak, warmupSteps: 3 }, 5);
    [0.1, 0.2, 0.3, 0.4, 0.4].forEach((rate, i) => {
      expect(warm[i]).toBeCloseTo(rate, 15);
    });
  });

  it('step multiplies every so many steps', () => {
    const schedule: Schedule = { type: 'step', learningRate: peak, every: 2, factor: 0.5 };
    expect(rates(schedule, 6)).toEqual([0.4, 0.4, 0.2, 0.2, 0.1, 0.1]);
    expect(learningRate({ ...schedule, warmupSteps: 1 }, 2, 6)).toBe(0.4);
  });

  it('cosine falls from the peak along half a cosine', () => {
    const all = rates({ type: 'cosine', learningRate: peak, finalFraction: 0.1 }, 10);
    all.forEach((rate, i) => {
      expect(rate).toBeCloseTo(peak * (0.1 + 0.45 * (1 + Math.cos((Math.PI * i) / 10))), 14);
    });
    expect(all[0]).toBe(peak);
  });

  it('one-cycle starts low, peaks once where it says, and ends at its end', () => {
    const all = rates({ type: 'one-cycle', learningRate: peak }, 110);
    expect(all[0]).toBeCloseTo(0.04 * peak, 15);
    expect(all.indexOf(Math.max(...all))).toBe(32);
    expect(all[32]).toBe(peak);
    expect(all[16]).toBeCloseTo((peak * 1.04) / 2, 12);
    expect(all[109]).toBeCloseTo(0.0001 * peak, 15);
  });

  const fixtures = JSON.parse(
    readFileSync(new URL('pytorch/schedules.json', import.meta.url), 'utf8'),
  ) as readonly { readonly schedule: Schedule; readonly steps: number; readonly rates: readonly number[] }[];

  it.each(fixtures.map((each) => [JSON.stringify(each.schedule), each.steps, each] as const))(
    'PyTorch has the same rates for %s of %d steps',
    (_, steps, { schedule, rates: wanted }) => {
      rates(schedule, steps).forEach((rate, i) => {
        // Of rates above 1, a double has fewer digits behind the point.
        const size = Math.max(1, wanted[i]!);
        expect(Math.abs(rate - wanted[i]!) / size, `step ${i}`).toBeLessThan(1e-12);
      });
    },
  );

  it.each([1, 2, 3])('any schedule gives a sane rate in a run of %d steps', (total) => {
    const schedules: Schedule[] = [
      { type: 'constant', learningRate: 1, warmupSteps: 5 },
      { type: 'step', learningRate: 1, every: 1, warmupSteps: 5 },
      { type: 'cosine', learningRate: 1, warmupSteps: total },
      { type: 'one-cycle', learningRate: 1, riseFraction: 0 },
      { type: 'one-cycle', learningRate: 1, riseFraction: 1 },
    ];
    for (const schedule of schedules) {
      for (let step = 0; step <= total + 1; step++) {
        const rate = learningRate(schedule, step, total);
        expect(rate).toBeGreaterThan(0);
        expect(rate).toBeLessThanOrEqual(1);
      }
    }
  });

  it('refuses steps that are none', () => {
    const schedule: Schedule = { type: 'constant', learningRate: 1 };
    expect(() => learningRate(schedule, -1, 5)).toThrow(/step is -1/);
    expect(() => learningRate(schedule, 0, 0)).toThrow(/totalSteps is 0/);
  });
});
