import { messageOf } from '@kasane/protocol/errors';

/** Lines of npm that say no more than its codes, or where its log is. */
const idle =
  /^(code|errno|syscall|path|command|network This is|network In most|network$|\d+$|A complete log)/;

/** Why `npm pack` failed, in one line: npm's own words without its frame, or that something it needs is not there. */
export function npmFailure(error: unknown): string {
  const { code, path, stderr = '' } = error as { code?: unknown; path?: string; stderr?: string };
  if (code === 'ENOENT') return `${path ?? 'npm'} was not found on the PATH; install it`;
  const lines = stderr.split('\n').map((line) => line.replace(/^npm (error|ERR!)\s?/, '').trim());
  const npmCode = lines.map((line) => /^code (\S+)/.exec(line)?.[1]).find((found) => found !== undefined);
  const said = lines.find((line) => line !== '' && !idle.test(line)) ?? '';
  if (said === '') return npmCode ?? messageOf(error);
  return npmCode === undefined || said.includes(npmCode) || npmCode === `E${said.slice(0, 3)}`
    ? said
    : `${said} (${npmCode})`;
}
