/** `kasane context`: coordinators by name. */
import { resolve } from 'node:path';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { suggest } from '@kasane/tensor/nn/nearest';
import { type Config, type Context, configFile, readConfig, writeConfig } from '../contexts.ts';
import { table } from '../render/table.ts';

const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** Every command begins with the file as it is. */
function config(): Config {
  try {
    return readConfig();
  } catch (cause) {
    throw new KasaneError('USAGE', messageOf(cause), { cause });
  }
}

export function list({ json }: { readonly json?: boolean }): void {
  const { contexts, current } = config();
  const records = Object.entries(contexts).map(([name, { coordinator, token }]) => ({
    name,
    coordinator,
    // Never the token itself: what is printed is copied.
    token: token !== undefined,
    current: name === current,
  }));
  const rows = records.map(({ name, coordinator, token, current: used }) => [
    ...[used ? '*' : '', name, coordinator, token ? 'yes' : 'no'],
  ]);
  const text =
    records.length > 0
      ? table(['', 'CONTEXT', 'COORDINATOR', 'TOKEN'], rows)
      : `no contexts in ${configFile()}: kasane context add NAME --coordinator HOST:PORT`;
  process.stdout.write(`${json ? JSON.stringify(records) : text}\n`);
}

export function add(name: string, { coordinator, token, ...files }: Context): void {
  if (!NAME.test(name)) {
    throw new KasaneError(
      'USAGE',
      `context '${name}': a letter or digit, then letters, digits, '.', '-' or '_' are expected`,
    );
  }
  const { contexts, current = name } = config();
  writeConfig({
    current,
    contexts: {
      ...contexts,
      [name]: { coordinator, ...(token !== undefined && { token }), ...absolute(files) },
    },
  });
  process.stdout.write(`${name}: ${coordinator}${current === name ? ', in use' : ''}\n`);
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

export function use(name: string): void {
  const { contexts } = config();
  requireContext(name, contexts);
  writeConfig({ current: name, contexts });
  process.stdout.write(`${name}: ${contexts[name]!.coordinator}, in use\n`);
}

export function remove(name: string): void {
  const { contexts, current } = config();
  requireContext(name, contexts);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeConfig({ contexts: rest, ...(current !== undefined && current !== name && { current }) });
  process.stdout.write(`${name} removed\n`);
}

function requireContext(name: string, contexts: Config['contexts']): void {
  if (Object.hasOwn(contexts, name)) return;
  throw new KasaneError('USAGE', `there is no context '${name}'${suggest(name, Object.keys(contexts))}`);
}
