/**
 * Optimizers as data: what one update does to one number, as scalar expressions. A backend makes one kernel of them that reads
 * parameter, gradient and state and writes parameter and state.
 */
import { add, constant, div, type Expression, input, mul, scalar, sqrt, sub } from '../scalar/expression.ts';
import { powerOf } from './exact.ts';

export type OptimizerOptions =
  | {
      readonly type: 'sgd';
      /** Default 0. */
      readonly momentum?: number;
      /** Default false. Needs momentum. */
      readonly nesterov?: boolean;
      /** L2 penalty: added to the gradient as weightDecay * parameter. Default 0. */
      readonly weightDecay?: number;
      /** Whether biases and norms, the parameters with one axis, are decayed like weights. Default true. */
      readonly decayBiasAndNorm?: boolean | undefined;
    }
  | {
      /** adam: weightDecay is added to the gradient; adamw: it shrinks the parameter by learningRate * weightDecay. */
      readonly type: 'adam' | 'adamw';
      /** Default 0.9. */
      readonly beta1?: number;
      /** Default 0.999. */
      readonly beta2?: number;
      /** Default 1e-8. */
      readonly epsilon?: number;
      /** Default 0. */
      readonly weightDecay?: number;
      /** As above. */
      readonly decayBiasAndNorm?: boolean | undefined;
    };

export interface Optimizer {
  readonly name: OptimizerOptions['type'];
  /** Names of the numbers kept for each parameter; all start at 0. */
  readonly state: readonly string[];
  /** What changes from step to step: values of the expressions' `scalar`s. `step` counts from 0. */
  scalars(step: number, learningRate: number): Readonly<Record<string, number>>;
  /** Inputs of the expressions: 0 parameter, 1 gradient, 2 + i state i; all before the update. */
  readonly update: {
    readonly parameter: Expression;
    /** In the order of `state`. */
    readonly state: readonly Expression[];
  };
}

const parameter = input(0);
const gradient = input(1);

/**
 * The optimizer that the options describe.
 * @throws RangeError when an option is out of range or two contradict each other
 */
export function optimizerFor(options: OptimizerOptions): Optimizer {
  return options.type === 'sgd' ? sgd(options) : adam(options);
}

function sgd(options: OptimizerOptions & { type: 'sgd' }): Optimizer {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  check('sgd', 'momentum', momentum, 0, 1);
  check('sgd', 'weightDecay', weightDecay, 0, Infinity);
  if (nesterov && momentum === 0) throw new RangeError('sgd: nesterov requires a momentum above 0');
  const slope = decayed(weightDecay);
  // v' = momentum v + g;  p' = p - rate v', or with Nesterov p - rate (g + momentum v')
  const velocity = add(mul(constant(momentum), input(2)), slope);
  const direction = nesterov ? add(slope, mul(constant(momentum), velocity)) : velocity;
  return {
    name: 'sgd',
    state: momentum === 0 ? [] : ['momentum'],
    scalars: (_, rate) => ({ rate }),
    update: {
      parameter: sub(parameter, mul(scalar('rate'), momentum === 0 ? slope : direction)),
      state: momentum === 0 ? [] : [velocity],
    },
  };
}

function adam(options: OptimizerOptions & { type: 'adam' | 'adamw' }): Optimizer {
  const { type, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  check(type, 'beta1', beta1, 0, 1);
  check(type, 'beta2', beta2, 0, 1);
  check(type, 'weightDecay', weightDecay, 0, Infinity);
  if (!(epsilon > 0)) throw new RangeError(`${type}: epsilon is ${epsilon}; expected a positive number`);
  const slope = type === 'adam' ? decayed(weightDecay) : gradient;
  const mean = add(mul(constant(beta1), input(2)), mul(constant(1 - beta1), slope));
  const square = add(mul(constant(beta2), input(3)), mul(constant(1 - beta2), mul(slope, slope)));
  // p' = p - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
  const direction = div(mean, add(mul(sqrt(square), scalar('rootCorrection')), constant(epsilon)));
  const shrinks = type === 'adamw' && weightDecay > 0;
  const start = shrinks ? mul(parameter, scalar('shrink')) : parameter;
  return {
    name: type,
    state: ['mean', 'square'],
    scalars: (step, rate) => ({
      stepSize: rate / (1 - powerOf(beta1, step + 1)),
      rootCorrection: 1 / Math.sqrt(1 - powerOf(beta2, step + 1)),
      ...(shrinks ? { shrink: 1 - rate * weightDecay } : {}),
    }),
    update: { parameter: sub(start, mul(scalar('stepSize'), direction)), state: [mean, square] },
  };
}

/** The gradient with the L2 penalty's: g + weightDecay p. */
function decayed(weightDecay: number): Expression {
  return weightDecay === 0 ? gradient : add(gradient, mul(constant(weightDecay), parameter));
}

function check(type: string, name: string, value: number, minimum: number, below: number): void {
  if (value >= minimum && value < below) return;
  const range =
    below === Infinity ? `a finite number of at least ${minimum}` : `${minimum} <= ${name} < ${below}`;
  throw new RangeError(`${type}: ${name} is ${value}; expected ${range}`);
}
