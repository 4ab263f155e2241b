/** What a program says of a model, checked before it is run: nothing checks the types of a program that Node strips of them. */
import { ModelError } from '../model-error.ts';
import { suggest } from '../nearest.ts';

type Fields = Readonly<Record<string, unknown>>;

const refuse = (why: string) => new ModelError([], why);

/** What a value is, for messages. */
export function whatIs(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value).slice(0, 60) || 'an empty text';
  if (Array.isArray(value)) return 'a list';
  const name = value.constructor?.name;
  return name === 'Promise'
    ? 'a Promise (it must not be async)'
    : `an object${name && name !== 'Object' ? ` (${name})` : ''}`;
}

function fieldsOf(value: unknown, what: string, keys: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(`${what}: is ${whatIs(value)}; expected an object with ${keys.join(', ')}`);
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw refuse(`${what}: no key '${unknown}'${suggest(unknown, keys)}`);
  return value as Fields;
}

function requireFunction(value: unknown, what: string): void {
  if (typeof value !== 'function')
    throw refuse(`${what}: is ${value === undefined ? 'missing' : whatIs(value)}; expected a function`);
}

function requireShape(value: unknown, what: string): void {
  if (Array.isArray(value) && value.every((extent) => Number.isInteger(extent) && extent > 0)) return;
  const found = Array.isArray(value)
    ? `[${value.join(', ')}]`
    : value === undefined
      ? 'missing'
      : whatIs(value);
  throw refuse(`${what}: is ${found}; expected the shape of a sample, such as [784]`);
}

/** Of two keys that stand for the same, the one that is there. */
function oneOf(given: Fields, [one, other]: readonly [string, string]): string {
  const found = [one, other].filter((key) => given[key] !== undefined);
  if (found.length === 1) return found[0]!;
  throw refuse(
    `defineModel: ${found.length === 0 ? `neither ${one} nor ${other} is set` : `both ${one} and ${other} are set`}; expected one of them`,
  );
}

/** @throws ModelError naming what is missing, unknown or there twice */
export function checkDefinition(definition: unknown): void {
  const keys = ['input', 'inputs', 'classes', 'build', 'layers', 'using', 'loss'];
  const given = fieldsOf(definition, 'defineModel', keys);
  if (oneOf(given, ['input', 'inputs']) === 'input') requireShape(given.input, 'input');
  else
    for (const [name, shape] of Object.entries(
      fieldsOf(given.inputs, 'inputs', Object.keys(given.inputs ?? {})),
    ))
      requireShape(shape, `inputs.${name}`);
  if (oneOf(given, ['build', 'layers']) === 'build') requireFunction(given.build, 'build');
  else checkUsing(given.using);
  if (given.loss !== undefined) checkLoss(given.loss);
}

function checkUsing(using: unknown): void {
  if (using === undefined) return;
  if (!Array.isArray(using)) throw refuse(`using: is ${whatIs(using)}; expected a list of layers`);
  const types = using.map((layer: { readonly type?: unknown } | undefined) => layer?.type);
  const twice = types.find((type, i) => types.indexOf(type) < i);
  if (twice !== undefined) throw refuse(`using: there are two layers of type '${String(twice)}'`);
}

function checkLoss(loss: unknown): void {
  const { target, of, metric } = fieldsOf(loss, 'loss', ['target', 'of', 'metric']);
  fieldsOf(target, 'loss.target', ['dtype', 'shape']);
  requireFunction(of, 'loss.of');
  if (metric !== undefined)
    requireFunction(fieldsOf(metric, 'loss.metric', ['kind', 'of']).of, 'loss.metric.of');
}

/** @throws ModelError naming what is missing or unknown */
export function checkLayerDefinition(layer: unknown): void {
  const { type, build } = fieldsOf(layer, 'defineLayer', ['type', 'build']);
  if (typeof type !== 'string' || type === '')
    throw refuse(`defineLayer: type is ${type === undefined ? 'missing' : whatIs(type)}; expected a name`);
  requireFunction(build, `defineLayer: build of ${type}`);
}

/** Values by their names, among which a name that there is not is an error. */
export const namedValues = <Values extends object>(values: Values, what: string): Values =>
  new Proxy(values, {
    get(all, name, self) {
      if (typeof name === 'string' && !Object.hasOwn(all, name))
        throw refuse(`${what}: no value '${name}'${suggest(name, Object.keys(all))}`);
      return Reflect.get(all, name, self);
    },
  });
