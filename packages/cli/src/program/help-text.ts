/** The help of every command as text, for the reference and for the tests that walk it. */
import type { Command } from 'commander';

/** A command that does something: `data pack` is one, `data` is not; `runs` and `runs diff` both are. */
export interface Verb {
  /** Without `kasane`. */
  readonly name: string;
  readonly command: Command;
}

/** What `kasane COMMAND --help` prints. */
export function helpOf(command: Command, width = 110): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => width });
  command.outputHelp();
  return help.trim();
}

/** Every verb, in the order of the help. */
export function verbsOf(command: Command, name = ''): Verb[] {
  return command.commands.flatMap((child) => {
    const path = `${name} ${child.name()}`.trim();
    const inner = verbsOf(child, path);
    // What only holds other commands has no options.
    return inner.length > 0 && child.options.length === 0
      ? inner
      : [{ name: path, command: child }, ...inner];
  });
}

/** What a command's help says that --json prints, a line each; none where it has no --json. */
export function jsonShape(command: Command): string[] {
  const [, shape] = helpOf(command).split('\nWith --json:\n');
  return shape?.split('\n').map((line) => line.slice(2)) ?? [];
}
