/** Every command of `kasane`, in the order of its help. Loads their tables, and nothing heavy. */
import type { Command } from 'commander';
import { addAskingCommands } from '../commands/asking.ts';
import { addContextCommands } from '../commands/context-commands.ts';
import { addDataCommands } from '../commands/data-commands.ts';
import { addLocalCommands } from '../commands/local-commands.ts';
import { addModelCommands } from '../commands/model-commands.ts';
import { addSecurityCommands } from '../commands/security-commands.ts';
import { addServingCommands } from '../commands/serving-commands.ts';
import { addAll, clientTls, command, help, program, tokenFile } from './program.ts';

/** @param called the command that will run: completion walks all others, and nobody else waits for its code */
export async function everyCommand(called?: string): Promise<Command> {
  program.commandsGroup('On this machine:');
  addLocalCommands();
  addDataCommands();
  program.commandsGroup('Serving:');
  addServingCommands();
  program.commandsGroup('Managing jobs and workers:');
  addAskingCommands();
  program.commandsGroup('Models:');
  addModelCommands();
  program.commandsGroup('Access:');
  const contexts = addContextCommands();
  addSecurityCommands();
  // A secret in a file is in no list of processes.
  for (const showing of [...program.commands, ...contexts.commands]) {
    if (showing.options.some((option) => option.attributeName() === 'token')) showing.addOption(tokenFile());
  }
  // Whoever asks a coordinator may have to do so through TLS.
  for (const asking of [...program.commands, ...contexts.commands]) {
    if (asking.options.some((option) => option.attributeName() === 'coordinator'))
      addAll(asking, clientTls());
  }
  program.commandsGroup('Shell:');
  if (called === 'completion' || called === 'complete') {
    const { default: tab } = await import('@bomb.sh/tab/commander');
    tab(program, { completionCommandName: 'completion' });
  } else {
    command('completion <shell>', '');
  }
  program.commands
    .find((one) => one.name() === 'completion')
    ?.description('print a completion script for zsh, bash, fish or powershell')
    .addHelpText('after', help(['source <(kasane completion bash)    # add to ~/.bashrc to keep it']));
  program.helpCommand('help [command]', 'display help for a command');
  program.addHelpText(
    'after',
    help([
      'kasane train                               # trains on MNIST on this machine',
      'kasane init job.yaml --data photos         # a job file for images, one subfolder per class',
      'kasane train job.yaml',
      'kasane coordinator                         # serves jobs and workers',
      'kasane worker --coordinator 10.0.0.1:7420',
      'kasane submit job.yaml --watch',
    ]),
  );
  return program;
}
