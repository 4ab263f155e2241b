/**
 * Writes docs/reference: the command line from commander's tables, reasons and events from theirs, job files from their JSON Schema, layers
 * and presets from their declarations, gRPC from proto/.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { everyCommand } from '../packages/cli/src/program/every-command.ts';
import { helpOf, jsonShape, verbsOf } from '../packages/cli/src/program/help-text.ts';
import { eventSentence, events, type KnownEvent } from '../packages/protocol/src/events/events.ts';
import type { Form } from '../packages/protocol/src/events/forms.ts';
import {
  type Reason,
  type ReasonCode,
  reasons,
  sentenceOf,
} from '../packages/protocol/src/events/reasons.ts';
import { jobJsonSchema } from '../packages/protocol/src/job/job.ts';
import { jobFile } from './reference-job-file.ts';
import { layers, presetsPage } from './reference-layers.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'docs/reference');
const write = (name: string, lines: readonly string[]) =>
  writeFileSync(join(out, `${name}.md`), `${lines.join('\n')}\n`);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const program = await everyCommand();
write('cli', commandLine());
write('json', json());
write('reasons', reasonCodes());
write('events', eventCodes());
write('job-file', jobFile(jobJsonSchema()));
write('layers', layers());
write('presets', presetsPage());
write('grpc', grpc());

/** Every command with its help, as `kasane COMMAND --help` prints it. */
function commandLine(): string[] {
  const sections = verbsOf(program).flatMap(({ name, command }) => [
    ...[`## kasane ${name}`, '', '```text', helpOf(command), '```', ''],
  ]);
  return ['# Command line', '', 'The output of `kasane COMMAND --help` for every command.', '', ...sections];
}

/** The output of --json, for every command that has it. */
function json(): string[] {
  const intro =
    'The output of each command with `--json`. [The command line](../cli.md#json) describes what they have in common.';
  const sections = verbsOf(program).flatMap(({ name, command }) => {
    const shape = jsonShape(command);
    return shape.length > 0 ? [`## kasane ${name}`, '', '```text', ...shape, '```', ''] : [];
  });
  return ['# JSON', '', intro, '', ...sections];
}

/** Every reason, with its arguments and a sentence that shows where they stand. */
function reasonCodes(): string[] {
  const intro =
    'A reason explains why a job waits, why a worker has disconnected, or why the coordinator made a decision. Its code appears in the output of `--json`, in logs and in gRPC (`Reason`). Any reason may also have the arguments `step`, counted from 1, and `writing`, which names what could not be written. Jobs wait for `passing` reasons many times per second and continue by themselves. With a `held-up` reason, a job continues only once the cause is gone. No job waits for an `event`.';
  const rows = Object.entries(reasons).map(([code, { kind, args }]) => {
    const shown = example(args, code) as object;
    const sentence = sentenceOf({ code: code as ReasonCode, args: shown } as Reason);
    return `| \`${code}\` | ${kind} | ${Object.keys(args).join(', ')} | ${sentence} |`;
  });
  const head = ['| code | kind | arguments | sentence |', '| --- | --- | --- | --- |'];
  return ['# Reasons', '', intro, '', ...head, ...rows];
}

/** The same of events. */
function eventCodes(): string[] {
  const intro =
    'What the coordinator records of a job: the events of `kasane logs`, `kasane top`, the dashboard and gRPC (`Event`). An event with "why" in its sentence has a [reason](reasons.md). Steps count from 1.';
  const rows = Object.entries(events).map(([code, { args }]) => {
    const shown = example(args, code) as object;
    const sentence = eventSentence({ code, args: shown } as KnownEvent, 'why');
    return `| \`${code}\` | ${Object.keys(args).join(', ')} | ${sentence} |`;
  });
  const head = ['| code | arguments | sentence |', '| --- | --- | --- |'];
  return ['# Events', '', intro, '', ...head, ...rows];
}

function example(form: Form, name: string): unknown {
  if (form === 'number' || form === 'measured') return 3;
  if (form === 'text') return name.toUpperCase();
  if (form instanceof Set) return [...form][0];
  if (Array.isArray(form)) return [example(form[0], name)];
  return Object.fromEntries(Object.entries(form).map(([key, each]) => [key, example(each, key)]));
}

/** The definitions as they are: their comments say who sends what, and when. */
function grpc(): string[] {
  const folder = join(root, 'proto/kasane/v1');
  const intro = 'Clients use `Jobs` and `Cluster`. Workers use `Training`.';
  const files = readdirSync(folder).filter((file) => file.endsWith('.proto'));
  const parts = files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8').trim();
    return [`## ${file}`, '', '```proto', text, '```', ''];
  });
  return ['# gRPC', '', intro, '', ...parts];
}
