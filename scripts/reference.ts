/** Writes docs/reference: the command line from commander's tables, reasons from theirs, events from theirs, job files from their JSON Schema, gRPC from proto/. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { everyCommand } from '../packages/cli/src/every-command.ts';
import { helpOf, jsonShape, verbsOf } from '../packages/cli/src/help-text.ts';
import { eventSentence, events, type KnownEvent } from '../packages/protocol/src/events.ts';
import type { Form } from '../packages/protocol/src/forms.ts';
import { jobJsonSchema } from '../packages/protocol/src/job.ts';
import { type Reason, type ReasonCode, reasons, sentenceOf } from '../packages/protocol/src/reasons.ts';

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
write('job-file', jobFile());
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

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
}

/** Every key of a job file by its path, with what it may be. */
function jobFile(): string[] {
  const schema = jobJsonSchema() as Schema;
  const intro =
    'This page lists every key of the JSON Schema that `kasane schema` prints. `[]` stands for each element of a list.';
  const rows: string[] = [];
  const seen = new Set<string>();
  const walk = (at: Schema, path: string, required: boolean) => {
    const description = (at.description ?? '').replaceAll('|', '\\|');
    const text = `| \`${path}\` | ${kindOf(at)} | ${required ? 'yes' : ''} | ${standard(at)} | ${description} |`;
    if (path !== '' && !seen.has(text)) rows.push(text);
    seen.add(text);
    for (const [key, child] of Object.entries(at.properties ?? {})) {
      walk(child, path === '' ? key : `${path}.${key}`, at.required?.includes(key) ?? false);
    }
    if (at.items) walk(at.items, `${path}[]`, false);
    for (const one of [...(at.anyOf ?? []), ...(at.oneOf ?? [])])
      if (one.properties) walk(one, path, required);
  };
  walk(schema, '', true);
  const head = ['| key | value | required | default | description |', '| --- | --- | --- | --- | --- |'];
  return ['# Job files', '', intro, '', ...head, ...rows];
}

function kindOf(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum } = schema;
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum) return schema.enum.map((one) => `\`${one}\``).join(', ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(kindOf))].join(' or ');
  if (schema.$ref) return 'as above';
  const range = [
    minimum !== undefined && minimum > -Number.MAX_SAFE_INTEGER ? `at least ${minimum}` : '',
    exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : '',
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `at most ${maximum}` : '',
  ].filter((text) => text !== '');
  return [schema.type ?? 'any', ...range].join(', ');
}

function standard({ default: value }: Schema): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
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
