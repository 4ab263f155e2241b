import { type Model, parametersUsed } from './model.ts';
import { ModelError } from './model-error.ts';

/**
 * A gradient needs a parameter, and a way from it to the loss.
 * @throws ModelError of a model that no training can change
 */
export function requireTrainable(model: Model): void {
  const { layers, loss } = model;
  const trained = (index: number) =>
    parametersUsed(model, layers[index]!).some(({ statistic, frozen }) => !statistic && !frozen);
  if (!layers.some((_, index) => trained(index)))
    throw new ModelError(
      ['layers'],
      'layers: no layer has parameters that are trained, so there is nothing to train; add one that has some, such as dense',
    );
  if (!loss) return;
  const open = loss.dependsOn.filter((index) => index >= 0);
  const seen = new Set(open);
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (trained(index)) return;
    for (const before of layers[index]!.from) {
      if (before < 0 || seen.has(before)) continue;
      seen.add(before);
      open.push(before);
    }
  }
  throw new ModelError(
    ['loss'],
    'loss: it depends on no layer that is trained, so training would change nothing; compute it from the output',
  );
}
