/** Which keys a job file may have at a place, from its JSON Schema: what a mistyped one is compared with. */

/** The part of JSON Schema that the job's uses. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

type Fields = Readonly<Record<PropertyKey, unknown>>;

/** All that a schema may stand for, less the variants that a constant of theirs (`format: csv`) rules out. */
function variants(schema: Schema, value: unknown): readonly Schema[] {
  const ruledOut = Object.entries(schema.properties ?? {}).some(([name, { const: wanted }]) => {
    const given = (value as Fields | undefined)?.[name];
    return wanted !== undefined && given !== undefined && given !== wanted;
  });
  if (ruledOut) return [];
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
    here = here.flatMap(({ properties, items }) => {
      const next = typeof key === 'number' ? items : properties?.[String(key)];
      return next ? variants(next, content) : [];
    });
  }
  return [...new Set(here.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}
