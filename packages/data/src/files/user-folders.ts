/**
 * Where a user's own files go, as the XDG base directory specification has it: a value that is not an absolute path counts as none, since it
 * would mean another folder for each working directory.
 */
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Absolute path of a variable's value; undefined where it has none. */
const absolute = (value: string | undefined): string | undefined =>
  value !== undefined && isAbsolute(value) ? value : undefined;

/** The user's home; undefined for a user whom the machine does not know and who has no HOME. */
export function homeFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const said = process.platform === 'win32' ? homedir() : env.HOME;
  return absolute(said) ?? absolute(homeOfUser());
}

function homeOfUser(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    return undefined;
  }
}

const kinds = {
  cache: { variable: 'XDG_CACHE_HOME', below: '.cache' },
  config: { variable: 'XDG_CONFIG_HOME', below: '.config' },
} as const;

/** A folder for Kasane's files of this kind; undefined where there is no home. */
export function userFolder(
  kind: keyof typeof kinds,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const { variable, below } = kinds[kind];
  const home = homeFolder(env);
  const folder = absolute(env[variable]) ?? (home === undefined ? undefined : join(home, below));
  return folder === undefined ? undefined : join(folder, 'kasane');
}
