/** Keeps secrets of the command line out of the list of processes, which everybody on a machine can read. */

const secret = /^--(\w+-)?token$/;

/** A command line with the values of --token and --metrics-token and the passwords in URLs replaced by stars. */
export function withoutSecrets(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    if (secret.test(args[index - 1] ?? '')) return '***';
    return arg.replace(/^(--(?:\w+-)?token=).*/s, '$1***').replace(/(:\/\/[^/@\s:]*:).*@/gs, '$1***@');
  });
}

/** From now on this process shows itself without what was secret in its arguments. Others could read them until here. */
export function hideSecrets(argv: readonly string[] = process.argv): void {
  const shown = withoutSecrets(argv.slice(2));
  if (shown.every((arg, index) => arg === argv[index + 2])) return;
  // The name first: a title is cut to the length of the command line as it was.
  process.title = ['kasane', ...shown].join(' ');
}
