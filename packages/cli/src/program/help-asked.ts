/** Help that is asked for: of a command, or of what is none. */
import type { Command } from 'commander';

const HELP = ['-h', '--help'];

/**
 * The words of a command line, as they are parsed: `help X Y` is `X Y --help`. Without help where a command is unknown: commander would
 * show that of all commands, and hide the slip, where it refuses an unknown command by name and with what is like it.
 */
export function parsedWords(program: Command, words: readonly string[]): string[] {
  const isHelp = words[0] === 'help' && words.length > 1 && words[1] !== 'help';
  const path = isHelp ? words.slice(1) : words;
  if (!isHelp && !path.some((word) => HELP.includes(word))) return [...words];
  let at = program;
  for (const [index, word] of path.entries()) {
    const next = at.commands.find((one) => one.name() === word || one.aliases().includes(word));
    const holdsOthers = at === program || (at.commands.length > 0 && at.options.length === 0);
    if (!next && holdsOthers && !word.startsWith('-') && word !== 'help') return path.slice(0, index + 1);
    if (!next) break;
    at = next;
  }
  return isHelp ? [...path, '--help'] : [...words];
}
