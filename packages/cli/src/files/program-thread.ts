/**
 * The thread in which a program runs that exports a job. It may end, wait or fail in any way: what comes of it is posted once, as data or as
 * a sentence.
 */
import { spawnSync } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { KasaneError } from '@kasane/protocol/errors';
import { asData, kindOf } from '@kasane/protocol/internal/job/as-data';

export type ProgramAnswer =
  | { readonly job: Readonly<Record<string, unknown>> }
  /** `line`: of the program, or of a file in its folder. */
  | { readonly refused: string; readonly line?: string | undefined; readonly lacks?: string | undefined };

const { url } = workerData as { readonly url: string };
// Defining a model goes through many functions of Kasane before an error is thrown.
Error.stackTraceLimit = 200;

let answered = false;
function answer(given: ProgramAnswer): void {
  if (!answered) parentPort!.postMessage(given);
  answered = true;
}

const right = 'export a job: `export default { name, model: defineModel({ ... }), data }`';

/** What a module exports by default; of one that was compiled to CommonJS, too. */
async function defaultOf(module: Readonly<Record<string, unknown>>): Promise<ProgramAnswer> {
  const outer = module.default;
  const compiled = isFields(outer) && ('__esModule' in outer || String(Object.keys(outer)) === 'default');
  const found = await (compiled ? (outer as { readonly default?: unknown }).default : outer);
  const names = Object.keys(compiled ? (outer as object) : module).filter(
    (name) => !['default', 'module.exports', '__esModule'].includes(name),
  );
  // Of a CommonJS module that assigns nothing.
  const isNothing = found === undefined || (isFields(found) && Object.keys(found).length === 0);
  if (isNothing)
    return {
      refused: `${names.length === 0 ? 'it exports nothing' : `it exports ${names.slice(0, 5).join(', ')}, but nothing by default`}; ${right}`,
    };
  if (!isFields(found)) return { refused: `its default export is ${kindOf(found)}; ${right}` };
  return { job: asData(found) as Readonly<Record<string, unknown>> };
}

const isFields = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Why it failed, and where: the first line of its own in the stack. */
function failureOf(error: unknown): ProgramAnswer {
  if (error instanceof KasaneError) return { refused: error.message };
  if (!(error instanceof Error)) return { refused: `it failed: it threw ${kindOf(error)}, not an Error` };
  const message = (error.message || error.name).replace(/\s*\n\s*/g, ' ');
  const lacks = /Cannot find package '(@kasane\/\w+)'/.exec(message)?.[1];
  if (lacks !== undefined) return { refused: message, lacks };
  return {
    refused: `it failed: ${message}${adviceOf(error)}`,
    line: lineOf(error.stack ?? '') ?? unparsedLine(error),
  };
}

/** What Node says is about Node. */
function adviceOf(error: Error): string {
  const { code } = error as { code?: unknown };
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return '. Node only strips types: use syntax that can be stripped, or compile the file';
  if (
    code === 'ERR_UNKNOWN_FILE_EXTENSION' &&
    !('typescript' in process.features && process.features.typescript)
  )
    return `. Node ${process.versions.node} does not run TypeScript: use Node 22.18 or later, or compile the file to JavaScript`;
  return '';
}

function lineOf(stack: string): string | undefined {
  const folder = url.slice(0, url.lastIndexOf('/') + 1);
  for (const [, file = '', line] of stack.matchAll(/(file:\/\/[^\s)]+?):(\d+)/g))
    if (file.startsWith(folder) && !file.includes('/node_modules/')) return `${fileURLToPath(file)}:${line}`;
  return undefined;
}

/** The line of what Node cannot parse: its errors do not have it, but what it prints has. */
function unparsedLine(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!(error instanceof SyntaxError) && !code.includes('TYPESCRIPT_SYNTAX')) return undefined;
  const { stderr } = spawnSync(process.execPath, ['--check', fileURLToPath(url)], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  const [, file = '', line] = /^(?:file:\/\/)?(\/.+?|[A-Za-z]:.+?):(\d+)$/m.exec(stderr ?? '') ?? [];
  return line === undefined ? undefined : `${file}:${line}`;
}

const fail = (error: unknown) => answer(failureOf(error));
for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, fail);
process.on('beforeExit', () => answer({ refused: 'its top-level `await` never finishes' }));

async function run(): Promise<void> {
  const module = (await import(url)) as Readonly<Record<string, unknown>>;
  const found = await defaultOf(module);
  // A promise that nobody waits for may fail by then.
  await nextTurn();
  answer(found);
}

// Not awaited: Node would warn of this line where the program never ends.
run().catch(fail);
