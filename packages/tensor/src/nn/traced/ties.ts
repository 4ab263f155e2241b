/** Parameters that a layer shares with one before it. */
import { formatShape, sameShape } from '../../shape.ts';
import { LayerError, type ParameterPlan } from '../layer.ts';
import { suggest } from '../nearest.ts';
import { brief } from './attributes.ts';

/**
 * The full names of tied parameters by their names in the layer.
 * @param planned parameters of the layers before
 * @throws LayerError when there is no such parameter, or it has another shape
 */
export function tiesOf(
  layer: object,
  own: readonly ParameterPlan[],
  planned: readonly { readonly layer: string; readonly plan: ParameterPlan }[],
): ReadonlyMap<string, string> {
  const tied: unknown = (layer as { tied?: unknown }).tied;
  if (tied === undefined) return new Map();
  if (typeof tied !== 'object' || tied === null || Array.isArray(tied))
    throw new LayerError(
      `tied is ${brief(tied)}; expected parameters of other layers by the names of this one's`,
    );
  return new Map(
    Object.entries(tied).map(([name, to]: [string, unknown]) => {
      const parameter = own.find((plan) => plan.name === name);
      if (!parameter)
        throw new LayerError(
          `tied: no parameter '${name.slice(0, 64)}'${suggest(
            name,
            own.map((plan) => plan.name),
          )}`,
        );
      const names = planned.map((each) => `${each.layer}.${each.plan.name}`);
      const other = planned[names.indexOf(String(to))]?.plan;
      if (!other)
        throw new LayerError(
          `tied: no parameter ${brief(to)} in a layer before this one${suggest(String(to), names)}`,
        );
      if (!sameShape(other.shape, parameter.shape) || other.statistic || parameter.statistic)
        throw new LayerError(
          `tied: ${String(to)} is ${formatShape(other.shape)}${other.statistic ? ', a statistic' : ''}; expected a trained parameter ${formatShape(parameter.shape)}`,
        );
      return [name, String(to)];
    }),
  );
}
