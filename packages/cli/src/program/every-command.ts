/** Every command of `kasane`, in the order of its help. Loads their tables, and nothing heavy. */
import type { Command } from 'commander';
import { addSchema, addVersion } from '../commands/about.ts';
import { addCert } from '../commands/cert/command.ts';
import { addContext } from '../commands/context/command.ts';
import { addDashboard } from '../commands/dashboard/command.ts';
import { addData } from '../commands/data/command.ts';
import { addDoctor } from '../commands/doctor/command.ts';
import { addEval } from '../commands/eval/command.ts';
import { addExport } from '../commands/export/command.ts';
import { addFindBatch } from '../commands/find-batch/command.ts';
import { addFindLr } from '../commands/find-lr/command.ts';
import { addImport } from '../commands/import/command.ts';
import { addInit } from '../commands/init/command.ts';
import {
  addCancel,
  addDelete,
  addDrain,
  addJobs,
  addPause,
  addPriority,
  addResume,
  addRetry,
  addSubmit,
  addWatch,
  addWorkers,
} from '../commands/jobs/command.ts';
import { addLogs } from '../commands/logs/command.ts';
import { addModel } from '../commands/model/command.ts';
import { addLayers, addModels } from '../commands/models/command.ts';
import { addPredict } from '../commands/predict/command.ts';
import { addRuns } from '../commands/runs/command.ts';
import { addBackup, addCoordinator, addWorker } from '../commands/serve/command.ts';
import { addStatus } from '../commands/status/command.ts';
import { addSweep, addSweeps } from '../commands/sweep/command.ts';
import { addToken } from '../commands/token/command.ts';
import { addTop } from '../commands/top/command.ts';
import { addTrain } from '../commands/train/command.ts';
import { addAll, clientTls, command, help, program, tokenFile } from './program.ts';

/** @param called the command that will run: completion walks all others, and nobody else waits for its code */
export async function everyCommand(called?: string): Promise<Command> {
  program.commandsGroup('On this machine:');
  addInit();
  addTrain();
  addSweep();
  addFindLr();
  addFindBatch();
  addDoctor();
  addVersion();
  addSchema();
  addData();
  program.commandsGroup('Serving:');
  addCoordinator();
  addBackup();
  addWorker();
  addDashboard();
  program.commandsGroup('Managing jobs and workers:');
  addSubmit();
  addJobs();
  const runs = addRuns();
  addWorkers();
  addDrain();
  addWatch();
  addCancel();
  addPause();
  addRetry();
  addDelete();
  addPriority();
  addResume();
  addTop();
  addLogs();
  addStatus();
  addSweeps();
  program.commandsGroup('Models:');
  addPredict();
  addEval();
  addExport();
  addImport();
  const registry = addModel();
  addModels();
  addLayers();
  program.commandsGroup('Access:');
  const contexts = addContext();
  addToken();
  addCert();
  // A secret in a file is in no list of processes.
  const all = [...program.commands, ...runs.commands, ...registry.commands, ...contexts.commands];
  for (const showing of all) {
    if (showing.options.some((option) => option.attributeName() === 'token')) showing.addOption(tokenFile());
  }
  // Whoever asks a coordinator may have to do so through TLS.
  for (const asking of all) {
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
  const completion = program.commands.find((one) => one.name() === 'completion')!;
  completion
    .description('print a completion script for Zsh, Bash, fish or PowerShell')
    .addHelpText('after', help(['source <(kasane completion bash)    # add to ~/.bashrc to keep it']));
  completion.registeredArguments[0]!.description = 'your shell';
  program.helpCommand('help [command]', 'show help for a command');
  program.addHelpText(
    'after',
    help([
      'kasane train                               # trains a network on MNIST on this machine',
      'kasane init job.yaml --data photos         # a job file for images, one subfolder per class',
      'kasane train job.yaml',
      'kasane coordinator                         # serves jobs and workers',
      'kasane worker --coordinator 10.0.0.1:7420',
      'kasane submit job.yaml --watch',
    ]),
  );
  return program;
}
