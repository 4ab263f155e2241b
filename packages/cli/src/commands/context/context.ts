/** `kasane context`: coordinators by name. */
import { resolve } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { out } from '../../output/say.ts';
import { type Config, type Context, configFile, readConfig, writeConfig } from '../../program/contexts.ts';
import { table } from '../../render/table.ts';

const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** Every command begins with the file as it is. */
function config(): Config {
  try {
    return readConfig();
  } catch (cause) {
    throw new KasaneError('USAGE', messageOf(cause), { cause });
  }
}

interface Options {
  readonly json?: boolean;
}

/** A context as people and programs see it. */
const shown = (name: string, { coordinator, token }: Context, current: string | undefined) => ({
  name,
  coordinator,
  // Never the token itself: what is printed is copied.
  token: token !== undefined,
  current: name === current,
});

const print = (record: object, line: string, { json }: Options) => {
  out.write(`${json ? JSON.stringify(record) : line}\n`);
};

export function list(options: Options): void {
  const { contexts, current } = config();
  const records = Object.entries(contexts).map(([name, context]) => shown(name, context, current));
  const rows = records.map(({ name, coordinator, token, current: used }) => [
    ...[used ? '*' : '', name, coordinator, token ? 'yes' : 'no'],
  ]);
  const text =
    records.length > 0
      ? table(['', 'CONTEXT', 'COORDINATOR', 'TOKEN'], rows)
      : `no contexts in ${configFile()}: kasane context add NAME --coordinator HOST:PORT`;
  print(records, text, options);
}

export function add(name: string, options: Context & Options): void {
  const { coordinator, token, json: _, ...files } = options;
  if (!NAME.test(name)) {
    throw new KasaneError(
      'USAGE',
      `context '${name}': expected a name that starts with a letter or digit and contains only letters, digits, '.', '-' and '_'`,
    );
  }
  const { contexts, current = name } = config();
  const context = { coordinator, ...(token !== undefined && { token }), ...absolute(files) };
  writeConfig({ current, contexts: { ...contexts, [name]: context } });
  const line = `${name}: ${coordinator}${current === name ? ', in use' : ''}`;
  print(shown(name, context, current), line, options);
}

/** Contexts are used from anywhere. */
function absolute(files: Omit<Context, 'coordinator' | 'token'>): Omit<Context, 'coordinator' | 'token'> {
  const { tlsCa, tlsCert, tlsKey } = files;
  return {
    ...(tlsCa !== undefined && { tlsCa: tlsCa === 'system' ? tlsCa : resolve(tlsCa) }),
    ...(tlsCert !== undefined && { tlsCert: resolve(tlsCert) }),
    ...(tlsKey !== undefined && { tlsKey: resolve(tlsKey) }),
  };
}

export function use(name: string, options: Options = {}): void {
  const { contexts } = config();
  const context = requireContext(name, contexts);
  writeConfig({ current: name, contexts });
  print(shown(name, context, name), `${name}: ${context.coordinator}, in use`, options);
}

export function remove(name: string, options: Options = {}): void {
  const { contexts, current } = config();
  const context = requireContext(name, contexts);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeConfig({ contexts: rest, ...(current !== undefined && current !== name && { current }) });
  print(shown(name, context, undefined), `${name} removed`, options);
}

function requireContext(name: string, contexts: Config['contexts']): Context {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found) return found;
  const names = Object.keys(contexts);
  const hint =
    names.length > 0
      ? suggest(name, names)
      : `; create it with \`kasane context add ${name} --coordinator HOST:PORT\``;
  throw new KasaneError('USAGE', `there is no context '${name}'${hint}`);
}
