/** The page of docs/reference on job files: a table of keys, and a section for each key that has several forms. */

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** A place with several forms, told apart by the value of a key. */
interface Forms {
  readonly path: string;
  readonly key: string;
  readonly about: Schema;
  readonly branches: readonly Schema[];
}

/** Forms that have pages of their own, by their path. */
const pages: Readonly<Record<string, string>> = { model: 'presets.md', 'model.layers[]': 'layers.md' };

const HEAD = ['| key | value | required | default | description |', '| --- | --- | --- | --- | --- |'];

/** The page. @param schema the JSON Schema of a job file */
export function jobFile(schema: object): string[] {
  const intro =
    'This page lists every key of the JSON Schema that `kasane schema` prints. `[]` stands for each element of a list, and `*` for a key that you choose. Keys that depend on a choice, such as the format of the data, are in the section of that choice.';
  const found = new Map<string, Forms>();
  const rows = rowsOf(schema, '', found);
  const sections: string[] = [];
  // Sections may find further forms: the augmentation of images, for one.
  for (const forms of found.values()) sections.push(...section(forms, found));
  return ['# Job files', '', intro, '', ...HEAD, ...rows, '', ...sections];
}

/** The rows of an object's keys, and of those below. */
function rowsOf(at: Schema, path: string, found: Map<string, Forms>, except?: string): string[] {
  const required = at.required ?? at.anyOf?.[0]?.required;
  return Object.entries(at.properties ?? {})
    .filter(([key]) => key !== except)
    .flatMap(([key, child]) => {
      const place = path === '' ? key : `${path}.${key}`;
      const own = row(place, child, required?.includes(key) ?? false, child.description);
      return [
        own,
        ...below(child, place, found),
        ...(child.items ? below(child.items, `${place}[]`, found) : []),
        ...(typeof child.additionalProperties === 'object'
          ? valueRows(child.additionalProperties, place)
          : []),
      ];
    });
}

/** The rows of a map's values, which may have one of several forms: which of the keys they have tells which. */
function valueRows({ anyOf = [] }: Schema, path: string): string[] {
  const rows = anyOf.flatMap(({ properties = {} }) =>
    Object.entries(properties).map(([key, child]) =>
      row(`${path}.*.${key}`, child, false, child.description),
    ),
  );
  return [...new Set(rows)];
}

function below(at: Schema, path: string, found: Map<string, Forms>): string[] {
  const branches = at.anyOf ?? at.oneOf ?? [];
  const key = keyThatTells(branches);
  if (key === undefined)
    return [...rowsOf(at, path, found), ...branches.flatMap((one) => below(one, path, found))];
  const page = pages[path];
  if (page === undefined) found.set(path, { path, key, about: at, branches });
  const target = page ?? `#${anchorOf(path)}`;
  const values = branches.flatMap((branch) => valuesOf(branch.properties![key]!));
  const needed = branches.every(({ required }) => required?.includes(key));
  const standard = branches
    .map(({ properties }) => properties![key]!.default)
    .find((value) => value !== undefined);
  const about = `Each has [its own keys](${target}).`;
  return [
    row(
      `${path}.${key}`,
      { enum: values, ...(standard !== undefined && { default: standard }) },
      needed,
      about,
    ),
  ];
}

function section({ path, key, about, branches }: Forms, found: Map<string, Forms>): string[] {
  const parts = branches.flatMap((branch) => {
    const tells = branch.properties![key]!;
    const rows = rowsOf(branch, path, found, key);
    const text = branch.description ?? sentence((tells.description ?? '').replace(/^\w+: /, ''));
    const more = branch.description !== undefined && tells.enum ? ` ${tells.description ?? ''}` : '';
    const title = `### ${path}.${key}: ${valuesOf(tells).join(', ')}`;
    return [title, '', text + more, '', ...(rows.length > 0 ? [...HEAD, ...rows, ''] : [])];
  });
  return [`## ${path}`, '', ...(about.description ? [about.description, ''] : []), ...parts];
}

const sentence = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** The key by which objects can be told apart: each has a constant there. */
function keyThatTells(branches: readonly Schema[]): string | undefined {
  const [first, ...others] = branches;
  const tells = (schema: Schema, key: string) => valuesOf(schema.properties?.[key] ?? {}).length > 0;
  if (others.length === 0) return undefined;
  return Object.keys(first?.properties ?? {}).find((key) => branches.every((one) => tells(one, key)));
}

const valuesOf = (schema: Schema): readonly unknown[] =>
  schema.const === undefined ? (schema.enum ?? []) : [schema.const];

/** As the site makes it of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

const row = (path: string, schema: Schema, required: boolean, description = ''): string =>
  `| \`${path}\` | ${kindOf(schema)} | ${required ? 'yes' : ''} | ${standardOf(schema)} | ${description.replaceAll('|', '\\|')} |`;

function kindOf(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum } = schema;
  const values = valuesOf(schema);
  if (values.length > 0)
    return values.map((one) => `\`${String(one).trim() === '' ? JSON.stringify(one) : one}\``).join(', ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(kindOf))].join(' or ');
  const range = [
    minimum !== undefined && minimum > -Number.MAX_SAFE_INTEGER ? `at least ${minimum}` : '',
    exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : '',
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `at most ${maximum}` : '',
  ].filter((text) => text !== '');
  return [schema.type ?? 'any', ...range].join(', ');
}

function standardOf({ default: value }: Schema): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}
