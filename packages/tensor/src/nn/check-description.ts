/** The parts of a model's description, each checked by itself: its input and output, the types, names and sources of its layers. */
import { formatShape, type Shape } from '../shape.ts';
import { type LayerDescription, layerNamed, layerTypeNames } from './index.ts';
import type { LayerType } from './layer.ts';
import type { ModelDescription, ModelLayer } from './model.ts';
import { layerError, ModelError } from './model-error.ts';
import { suggest } from './nearest.ts';
import { isCount, isName, MAX_EXTENT, NAME_FORM } from './options.ts';

/** What a sample is, is said in one of two ways. */
export function checkInput(input: readonly number[] | undefined, types: readonly LayerType[]): void {
  const named = types.findIndex(({ partOfSample }) => partOfSample);
  if (input === undefined && named >= 0) return;
  if (!Array.isArray(input) || input.length === 0 || !input.every((extent) => isCount(extent, MAX_EXTENT))) {
    throw new ModelError(
      ['input'],
      `input is ${JSON.stringify(input)}; expected the shape of a sample, such as [784]`,
    );
  }
  if (named >= 0) {
    throw layerError(
      named,
      types[named]!,
      `the model already has an input of shape ${formatShape(input)}; use either that or input layers`,
    );
  }
}

/** What the description says of its output: `classes` or `output`. */
export function statedOutput({ classes, output }: ModelDescription): { shape: Shape; by: string } {
  if ((classes === undefined) === (output === undefined)) {
    const came = classes === undefined ? 'neither' : 'both';
    throw new ModelError(
      [],
      `${came} of classes and output are set; expected classes for a classifier, output (a shape) for other models`,
    );
  }
  if (output === undefined) {
    if (isCount(classes, MAX_EXTENT)) return { shape: [classes], by: `classes is ${classes}` };
    throw new ModelError(['classes'], `classes is ${classes}; expected a positive integer`);
  }
  if (Array.isArray(output) && output.length > 0 && output.every((extent) => isCount(extent, MAX_EXTENT))) {
    return { shape: output, by: `output is ${formatShape(output)}` };
  }
  throw new ModelError(
    ['output'],
    `output is ${JSON.stringify(output)}; expected the shape of a sample's output, such as [1]`,
  );
}

/** @param own types that the model defines */
export function findType(
  layer: LayerDescription,
  index: number,
  own: ReadonlyMap<string, LayerType>,
): LayerType {
  const given: unknown = (layer as { type?: unknown } | null)?.type;
  if (typeof given !== 'string') {
    throw new ModelError(
      ['layers', index],
      `layers[${index}]: expected a type; available: ${layerTypeNames.join(', ')}`,
    );
  }
  const type = layerNamed(given) ?? own.get(given);
  if (!type) {
    throw new ModelError(
      ['layers', index],
      `layers[${index}]: no layer type '${given.slice(0, 64)}'${suggest(given, [...layerTypeNames, ...own.keys()])}`,
    );
  }
  return type;
}

export function nameLayers(layers: readonly LayerDescription[], types: readonly LayerType[]): string[] {
  const counts = new Map<string, number>();
  const taken = new Map<string, number>();
  return layers.map((layer, index) => {
    const own = types[index]!;
    const { type } = own;
    const ordinal = (counts.get(type) ?? 0) + 1;
    counts.set(type, ordinal);
    const name: unknown = layer.name ?? `${type}${ordinal}`;
    if (!isName(name)) throw layerError(index, own, `name ${JSON.stringify(name)}; expected ${NAME_FORM}`);
    if (name === 'input') throw layerError(index, own, `name 'input' is reserved for the input of the model`);
    if (taken.has(name))
      throw layerError(index, own, `name '${name}' is already used by layers[${taken.get(name)}]`);
    taken.set(name, index);
    return name;
  });
}

/** Where a layer's inputs come from. @param names of all layers; before them 'input', where the model has one as a whole */
export function sourcesOf(
  type: LayerType,
  { from }: LayerDescription,
  index: number,
  names: readonly string[],
): number[] {
  const given: readonly unknown[] = from === undefined ? [] : Array.isArray(from) ? from : [from];
  const whole = names[0] === 'input' ? 1 : 0;
  const sources = given.map((name) => {
    const found = typeof name === 'string' ? names.indexOf(name) : -1;
    if (found >= 0 && found < index + whole) return found - whole;
    const before = names.slice(0, index + whole);
    throw layerError(
      index,
      type,
      `from: no layer ${JSON.stringify(name)} before this one${suggest(String(name), before)}`,
    );
  });
  const { least, most } = type.inputs ?? { least: 1, most: 1 };
  const all = from === undefined && most > 0 ? [index - 1] : sources;
  if (whole === 0 && all.includes(-1)) {
    throw layerError(index, type, 'it has no layer before it; expected a layer of type input first');
  }
  if (all.length < least || all.length > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`;
    throw layerError(index, type, `has ${all.length} inputs; expected ${wanted}: list them in from`);
  }
  return all;
}

/** A layer whose output nobody takes is a mistake. @param others indices of layers that are taken elsewhere */
export function checkUse(
  built: readonly Omit<ModelLayer, 'parameters'>[],
  others: readonly number[] = [],
): void {
  const used = new Set([...built.flatMap(({ from }) => from), ...others]);
  const idle = built.slice(0, -1).find(({ index }) => !used.has(index));
  if (idle) {
    throw layerError(
      idle.index,
      idle,
      `its output is not used: add '${idle.name}' to the from of a later layer`,
    );
  }
}
