/** What a model costs: numbers that are trained, and operations for one sample. Models are built for it, so each is looked at once. */
import { setImmediate as breathe } from 'node:timers/promises';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { KasaneError } from '../errors.ts';
import type { Fields } from './fields.ts';
import { checkJob } from './job.ts';

export interface ModelCost {
  readonly parameters: number;
  /** Of the forward pass of one sample, as `kasane models` counts them. */
  readonly flops: number;
}

/** Models that are remembered: the first are forgotten. */
const REMEMBERED = 2000;
/** Models take a while to build: whoever else is waiting goes first after so long, in milliseconds. */
const LONG_MS = 10;

export class ModelCosts {
  readonly #known = new Map<string, ModelCost | null>();

  /** @param file a job file with defaults @returns null where no model can be made of it any more: an earlier version has checked it */
  of(file: Fields): ModelCost | null {
    const key = keyOf(file);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const cost = costOf(file);
    this.#known.set(key, cost);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.keys().next().value!);
    return cost;
  }

  /** Builds what is not known yet, and lets others go on meanwhile. */
  async prepare(files: readonly Fields[]): Promise<void> {
    let since = performance.now();
    for (const file of files) {
      this.of(file);
      if (performance.now() - since < LONG_MS) continue;
      await breathe();
      since = performance.now();
    }
  }
}

const keyOf = ({ model, objective }: Fields): string => JSON.stringify([model, objective]);

function costOf(file: Fields): ModelCost | null {
  try {
    const layers = summarizeLayers(checkJob(file).model);
    const sum = (pick: (layer: (typeof layers)[number]) => number) =>
      layers.reduce((total, layer) => total + pick(layer), 0);
    return { parameters: sum(({ parameters }) => parameters), flops: sum(({ flops }) => flops) };
  } catch (error) {
    if (error instanceof KasaneError) return null;
    throw error;
  }
}
