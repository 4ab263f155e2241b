/** What a model's scores mean, for programs (a record) and for people (a line). */
import type { NumberEncoding } from '@kasane/data/table';
import { softmax } from '@kasane/tensor/internal/probabilities';
import type { Trained } from '../../model/trained.ts';
import { percent } from '../../render/job.ts';
import type { ReadInput } from './inputs.ts';

export interface Answer {
  /** As `--json` prints it. */
  readonly record: object;
  readonly line: string;
  /** As a table has it: the cells by their columns, the same columns for each answer of a model. */
  readonly row: Readonly<Record<string, string>>;
}

/** A number in a table: as many digits as a float32 has. */
const cell = (value: number): string => String(Number(value.toPrecision(9)));

/** The answer to one sample, in the units of the data that the model was trained on. */
export function answerOf(
  trained: Trained,
  { name, inverted, background }: ReadInput,
  scores: Float32Array,
): Answer {
  const { model, preparation, about } = trained;
  if (model.description.classes === undefined) {
    const targets = targetsOf(trained);
    const binary = (about.objective as { type?: unknown } | undefined)?.type === 'binary';
    const output = Array.from(scores, (score, i) =>
      binary ? sigmoid(score) : unscaled(score, targets[i % (targets.length || 1)]),
    );
    const shown = output.map((value, i) => {
      const target = targets[i % (targets.length || 1)];
      return `${target ? `${target.name} ` : ''}${digitsOf(value, target?.std)}`;
    });
    const names = targets.length > 0 ? { targets: targets.map((target) => target.name) } : {};
    return {
      record: { input: name, output, ...names },
      line: `${name}: ${shown.join(', ')}`,
      row: {
        input: name,
        ...Object.fromEntries(output.map((value, i) => [columnOf(targets, i, output.length), cell(value)])),
      },
    };
  }
  const probabilities = softmax(scores);
  const ranked = probabilities.map((p, index) => ({ p, index })).sort((a, b) => b.p - a.p);
  const best = ranked[0]!;
  const second = ranked[1];
  const nameOf = (index: number) => preparation.classes?.[index] ?? String(index);
  const label = preparation.classes?.[best.index] ?? null;
  const next = second ? `; next ${nameOf(second.index)} with ${percent(second.p)}` : '';
  const note = [
    ...(background ? [`, on a ${background} background`] : []),
    ...(inverted ? [', inverted because its border is bright'] : []),
  ].join('');
  return {
    record: {
      ...{ input: name, class: best.index, label, probabilities },
      ...(inverted !== undefined && { inverted, background: background ?? null }),
    },
    line: `${name}: ${nameOf(best.index)} (${percent(best.p)}${next})${note}`,
    row: { input: name, label: nameOf(best.index), probability: cell(best.p) },
  };
}

/** What an output is called: by its target, and by the step ahead where there are several. */
function columnOf(targets: readonly NumberEncoding[], index: number, outputs: number): string {
  const target = targets[index % (targets.length || 1)];
  if (!target) return outputs === 1 ? 'output' : `output ${index + 1}`;
  const step = Math.floor(index / targets.length) + 1;
  const name = target.name === 'input' ? 'predicted input' : target.name;
  return outputs > targets.length ? `${name} ${step}` : name;
}

/** Digits that are printed where they tell enough; the most that a number has. */
const [DIGITS, MOST_DIGITS] = [6, 15];

/** A number with as many digits as it takes to tell it from others of its column: all before the point, and some thousandths of the spread. */
export function digitsOf(value: number, std = 1): string {
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;
  const spread = 3 - Math.floor(Math.log10(std));
  const digits = Math.max(DIGITS, whole, whole + spread);
  return value.toPrecision(Number.isFinite(digits) ? Math.min(digits, MOST_DIGITS) : DIGITS);
}

/** What the outputs are, in turn; of a series once for each step ahead. */
function targetsOf({ preparation: { table, series } }: Trained): readonly NumberEncoding[] {
  if (!series) return table?.targets ?? [];
  return series.targets.map((name) => series.columns.find((column) => column.name === name)!);
}

const unscaled = (score: number, target: NumberEncoding | undefined): number =>
  target ? score * target.std + target.mean : score;

/** The probability of a yes. */
const sigmoid = (score: number): number => 1 / (1 + Math.exp(-score));
