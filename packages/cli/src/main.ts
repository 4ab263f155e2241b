#!/usr/bin/env node
/** The `kasane` command. Help loads nothing but the tables of the commands; each command loads what it needs. */
import { type Command, CommanderError } from 'commander';
import { err } from './output/say.ts';
import { outliveTerminal } from './process/hangup.ts';
import { hideSecrets } from './process/hide-secrets.ts';
import { endWithLauncher } from './process/launcher.ts';
import { endWithReader } from './process/lost-output.ts';
import { everyCommand } from './program/every-command.ts';
import { parsedWords } from './program/help-asked.ts';
import { spansAsked } from './tracing/asked.ts';

// What nobody caught ends the command as what was caught does: one line, and an exit code.
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, async (error) =>
    process.exit((await import('./process/failure.ts')).reportFailure(error)),
  );
hideSecrets();
outliveTerminal();
endWithLauncher();
endWithReader(process.argv[2]);

// gRPC writes lines of its own about what our messages say already.
process.env.GRPC_VERBOSITY ??= 'NONE';
let endSpans: ((exitCode: number) => Promise<void>) | undefined;
/** Command and subcommand that the line begins with. */
let meant = 'kasane';
/** A file may be called like an option. */
const fileHint = ({ code, message }: CommanderError) => {
  const [, given] = /'(-[^'-][^']*\.[^']+)'/.exec(message) ?? [];
  return code === 'commander.unknownOption' && given ? ` (for a file of that name, use ./${given})` : '';
};
try {
  const program = await everyCommand(process.argv[2]);
  for (let at: Command | undefined = program, i = 2; at; i++) {
    at = at.commands.find((one) => one.name() === process.argv[i]);
    if (at) meant += ` ${at.name()}`;
  }
  program.hook('preAction', async (_, action) => {
    if (spansAsked()) endSpans = (await import('./tracing/traced-command.ts')).traceCommand(action);
  });
  await program.parseAsync(parsedWords(program, process.argv.slice(2)), { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version have printed themselves.
    if (error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ') + fileHint(error);
      err.write(error.code === 'commander.help' ? '' : `kasane: ${message}; see \`${meant} --help\`\n`);
    }
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = (await import('./process/failure.ts')).reportFailure(error);
  }
} finally {
  await endSpans?.(Number(process.exitCode ?? 0));
}
