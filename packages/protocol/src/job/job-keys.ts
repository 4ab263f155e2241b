/** Which keys a job file may have at a place, from its JSON Schema: what a mistyped one is compared with. */

/** The part of JSON Schema that the job's uses. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  /** Of an object whose keys are its writer's; false elsewhere. */
  readonly additionalProperties?: Schema | boolean;
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

type Fields = Readonly<Record<PropertyKey, unknown>>;

/**
 * All that a schema may stand for, less the variants that a constant of theirs (`format: csv`) rules out. Of those whose constant is
 * missing only its key is left.
 */
function variants(schema: Schema, value: unknown): readonly Schema[] {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.const === undefined) continue;
    const given = (value as Fields | undefined)?.[name];
    if (given !== undefined && given !== property.const) return [];
    if (given === undefined && schema.required?.includes(name)) return [{ properties: { [name]: property } }];
  }
  const lists = [schema.anyOf, schema.oneOf, schema.allOf];
  return [schema, ...lists.flatMap((list) => (list ?? []).flatMap((each) => variants(each, value)))];
}

/**
 * Names of the keys of the object at that path, of every variant that it may be.
 * @param value the whole file's content
 */
export function keysAt(schema: object, path: readonly PropertyKey[], value: unknown): readonly string[] {
  let here: readonly Schema[] = variants(schema, value);
  let content = value;
  for (const key of path) {
    content = (content as Fields | undefined)?.[key];
    here = here.flatMap(({ properties, items, additionalProperties }) => {
      const next = typeof key === 'number' ? items : (properties?.[String(key)] ?? additionalProperties);
      return typeof next === 'object' ? variants(next, content) : [];
    });
  }
  return [...new Set(here.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}
