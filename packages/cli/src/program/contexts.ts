/** The configuration file: coordinators by name, so that their address and token need not be given each time. */
import { dirname, join } from 'node:path';
import { userFolder } from '@kasane/data/internal/files/user-folders';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { kindOfPath, readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { writeFile } from '../files/write-file.ts';

export interface Context {
  /** host:port */
  readonly coordinator: string;
  readonly token?: string;
  /** Paths of its authority, and of what is shown to it. */
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export interface Config {
  /** Name of the context in use. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** KASANE_CONFIG, or kasane/config.json in the user's folder for such files. */
export function configFile(env: NodeJS.ProcessEnv = process.env): string {
  if (env.KASANE_CONFIG) return env.KASANE_CONFIG;
  const folder = userFolder('config', env);
  if (folder === undefined) throw new Error('there is no home folder; set HOME or KASANE_CONFIG');
  return join(folder, 'config.json');
}

const CONFIG_BYTES = 1 << 20;

/** @throws Error when it is there and can not be read, or is damaged */
export function readConfig(path = configFile()): Config {
  if (kindOfPath(path) === 'nothing') return { contexts: {} };
  const text = readRegularSync(path, CONFIG_BYTES).toString();
  try {
    const { current, contexts } = JSON.parse(text) as Partial<Config>;
    for (const [name, context] of Object.entries(contexts ?? {})) {
      if (typeof context?.coordinator !== 'string') throw new Error(`context '${name}' has no coordinator`);
    }
    return { contexts: contexts ?? {}, ...(current !== undefined && { current }) };
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}; fix it, or remove it`, { cause: error });
  }
}

/** Whole or not at all; nobody else may read it, since tokens are in it. */
export function writeConfig(config: Config, path = configFile()): void {
  makeFolders(dirname(path));
  writeFile(`${JSON.stringify(config, null, 2)}\n`, path, 0o600);
}

/**
 * The context in use: KASANE_CONTEXT, or the one that `kasane context use` chose.
 * @throws Error when there is none of that name
 */
export function contextInUse(env: NodeJS.ProcessEnv = process.env): Context | undefined {
  if (!env.KASANE_CONFIG && userFolder('config', env) === undefined) return undefined;
  const { current, contexts } = readConfig(configFile(env));
  const name = env.KASANE_CONTEXT || current;
  if (name === undefined) return undefined;
  if (Object.hasOwn(contexts, name)) return contexts[name];
  const known = Object.keys(contexts).join(', ') || 'none';
  throw new Error(`there is no context '${name}'; available: ${known}`);
}
